"""The table of the model zoo in the README: ``python -m deconas_plugin.zoo.readme_table`` prints it."""
from deconas_plugin.files.zoo import load_zoo

COLUMNS = ('name', 'scale', 'params', 'Mult-Adds @720p', 'PSNR / SSIM (gain over bicubic)', 'trained on', 'licence')


def zoo_table(zoo):
    """str: Markdown, a row for each network and below it what there is to know.

    Args:
        zoo (Zoo): The networks.
    """
    if not zoo.entries:
        return 'The model zoo is empty so far.'
    rows = [COLUMNS, ('---', ) * len(COLUMNS)]
    rows += [_row(entry, zoo.bicubic.get(entry.scale, {})) for entry in zoo.entries.values()]
    lines = [f'| {" | ".join(row)} |' for row in rows]
    lines.append('')
    for entry in zoo.entries.values():
        note = f' {entry.note}' if entry.note else ''
        lines += [f'- **{entry.name}**: genotype `{entry.genotype}`, {entry.num_feat} features, SHA-256 '
                  f'`{entry.sha256}`, trained until {entry.date} by `{entry.command}`.{note}']
    return '\n'.join(lines)


def _row(entry, bicubic):
    metrics = '<br>'.join(f'{name} {psnr:.2f} / {ssim:.4f}{_gain(psnr, bicubic.get(name))}'
                          for name, (psnr, ssim) in entry.metrics.items())
    return (entry.name, f'x{entry.scale}', f'{entry.params:,}', f'{entry.mult_adds / 1e9:.1f} G', metrics,
            f'{entry.data}, {entry.iterations:,} iterations', entry.licence)


def _gain(psnr, bicubic):
    return f' ({psnr - bicubic[0]:+.2f} dB)' if bicubic else ''


if __name__ == '__main__':
    print(zoo_table(load_zoo()))
