"""The table of a study of finally trained networks."""
from statistics import mean, stdev


def finals_table(rows, final_steps):
    """str: Markdown.

    Args:
        rows (list[dict]): One per search, with seed, space, strategy, halved, ``psnr`` (dB, validation images),
            ``reward_psnr`` (dB), params and mult_adds.
        final_steps (int): Weight steps of every network.
    """
    groups = {}
    for row in rows:
        groups.setdefault((row['space'], row['strategy'], row['halved']), {})[row['seed']] = row
    # What all others are compared with, seed by seed: the plainest search of the first space.
    spaces = [space for space, *_ in groups]
    reference = next((key for key in groups if key == (spaces[0], 'random', False)), next(iter(groups)))
    lines = ['# Networks found, trained alone', '',
             f'{final_steps:,} weight steps each; mean and standard deviation over seeds. PSNR on validation images '
             'that neither search nor training saw; compared seed by seed, mean and range.', '',
             f'| space | strategy | halving | seeds | PSNR (dB) | above {_named(reference)} (dB) | seeds won | '
             'halving brings (dB) | params | Mult-Adds @720p |', '|---|---|---|---|---|---|---|---|---|---|']
    for key, found in groups.items():
        space, strategy, halved = key
        lines.append('| ' + ' | '.join([
            space, strategy, 'yes' if halved else 'no', str(len(found)), _spread(found, 'psnr', '{:.3f}'),
            *(_gains(found, groups[reference]) if key != reference else ['', '']),
            _gains(found, groups.get((space, strategy, False), {}))[0] if halved else '',
            _spread(found, 'params', '{:,.0f}'), _spread(found, 'mult_adds', '{:.1f} G', 1e9)]) + ' |')
    return '\n'.join(lines) + '\n'


def _named(key):
    space, strategy, halved = key
    return f'`{strategy}` in {space}' + ', halved' * halved


def _gains(found, others):
    """list[str]: What seeds gain over the same seeds of others, and how many gain anything."""
    gains = [found[seed]['psnr'] - others[seed]['psnr'] for seed in found if seed in others]
    if not gains:
        return ['', '']
    return [f'{mean(gains):+.3f} ({min(gains):+.3f} to {max(gains):+.3f})',
            f'{sum(gain > 0 for gain in gains)} of {len(gains)}']


def _spread(found, name, form, unit=1):
    values = [row[name] / unit for row in found.values()]
    return form.format(mean(values)) + (f' ± {form.format(stdev(values))}' if len(values) > 1 else '')
