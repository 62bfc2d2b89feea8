"""The pages about the model zoo: its table in README.md, and docs/zoo.md, which says of each network how it came about.
``python -m deconas_plugin.zoo.pages``, in a checkout, writes both anew."""
from pathlib import Path

from deconas_plugin.files.zoo import load_zoo

COLUMNS = ('name', 'params', 'Mult-Adds @720p', 'PSNR / SSIM (gain over bicubic)')
BEGIN, END = '<!-- model zoo -->\n', '\n<!-- end of model zoo -->'
HEAD = """# The networks of the model zoo

What [README](../README.md#model-zoo) lists by name: the genotype of each, the options that trained it, and the SHA-256
of its file. This page is made from `deconas_plugin/zoo/zoo.yml`: `python -m deconas_plugin.zoo.pages`.
"""


def zoo_table(zoo):
    """str: Markdown, a row for each network.

    Args:
        zoo (Zoo): The networks.
    """
    if not zoo.entries:
        return 'The model zoo is empty so far.'
    rows = [COLUMNS, ('---', ) * len(COLUMNS)]
    rows += [_row(entry, zoo.bicubic.get(entry.scale, {})) for entry in zoo.entries.values()]
    return '\n'.join(f'| {" | ".join(row)} |' for row in rows)


def zoo_page(zoo):
    """str: Markdown, what there is to know of each network.

    Args:
        zoo (Zoo): The networks.
    """
    return HEAD + ''.join(
        f'\n## {entry.name}\n\n'
        f'Genotype `{entry.genotype}`, {entry.num_feat} features. Trained until {entry.date} on {entry.data}, '
        f'{entry.iterations:,} iterations: `{entry.command}`. {entry.note}\n\n'
        f'Licence: {entry.licence}. SHA-256: `{entry.sha256}`\n' for entry in zoo.entries.values())


def _row(entry, bicubic):
    metrics = ', '.join(f'{name} {psnr:.2f} / {ssim:.4f}{_gain(psnr, bicubic.get(name))}'
                        for name, (psnr, ssim) in entry.metrics.items())
    return entry.name, f'{entry.params:,}', f'{entry.mult_adds / 1e9:.1f} G', metrics


def _gain(psnr, bicubic):
    return f' ({psnr - bicubic[0]:+.2f} dB)' if bicubic else ''


if __name__ == '__main__':
    zoo, readme = load_zoo(), Path('README.md')
    before, rest = readme.read_text(encoding='utf-8').split(BEGIN)
    readme.write_text(f'{before}{BEGIN}{zoo_table(zoo)}{END}{rest.split(END)[1]}', encoding='utf-8')
    Path('docs', 'zoo.md').write_text(zoo_page(zoo), encoding='utf-8')
