"""What stands in each section of the report.

Every function raises a DeCoNASError where its section has nothing to show; the report then shows the message.
"""
from contextlib import suppress

import numpy as np
from markupsafe import Markup

from deconas_plugin.errors import DataError, DeCoNASError
from deconas_plugin.files.paths import tool_command, typed
from deconas_plugin.visual.bits import draw_heat_map, genotype_strip
from deconas_plugin.visual.curves import COSTS, draw_halving, draw_search, draw_series, draw_signal
from deconas_plugin.visual.draw import draw_genotype
from deconas_plugin.visual.report_summary import duration, giga, kilo
from deconas_plugin.visual.samples import make_sample, sample_network, to_data_uri, validation_pairs
from deconas_plugin.visual.theme import operation_colours, to_css, to_inline_svg
from deconas_plugin.visual.trade_off import draw_trade_off


def result(experiment):
    """dict: The genotype, what it connects, and the commands that go on from here."""
    genotype = experiment.genotype
    return {
        'kind': experiment.genotype_kind,
        'bits': str(genotype),
        'connections': _connections(genotype),
        'colours': {name: to_css(colour) for name, colour in operation_colours(genotype.space.operations).items()},
        'commands': _commands(experiment),
        'provenance': experiment.provenance,
    }


def _connections(genotype):
    """dict[str, str | dict]: What each part reads, with the parts of every block where each has its own."""
    if genotype.space.share_blocks:
        return genotype.describe()
    parts = {}
    for part, reads in genotype.describe().items():
        of_block = part.startswith('block ')
        parts.update({f'{part}, {inner}': reads[inner] for inner in reads} if of_block else {part: reads})
    return parts


def _commands(experiment):
    """list[tuple[str, str]]: What each command does, and the command."""
    derived = experiment.folder.derived()
    commands = [(f'{verb} it', f'{tool_command(tool)} -opt {typed(file)}')
                for verb, tool in (('Train', 'train'), ('Test', 'test'))
                for file in derived.options_files(tool)]
    drawn = derived.genotype if experiment.is_search else experiment.folder.weights()
    if drawn.is_file():
        commands.append(('Draw it for a paper', f'{tool_command("draw")} {typed(drawn)} -o genotype.pdf'))
    return [*commands, ('Write this page anew', f'{tool_command("report")} {typed(experiment.folder)}')]


def drawing(experiment):
    """Markup: The genotype as a figure."""
    figure = draw_genotype(experiment.genotype, **experiment.tail_and_residual)
    return _svg(figure, 'network', f'Drawing of genotype {experiment.genotype}')


def search_curves(experiment):
    """list[tuple[str, Markup]]: Title and chart each."""
    figures = draw_search(experiment.history, 2 * sum(experiment.space.uniform_probabilities))
    with suppress(DataError):  # searches of earlier versions have not measured it
        figures.update(draw_signal(*experiment.signal))
    return _charts(figures, 'search')


def training_curves(experiment):
    """list[tuple[str, Markup]]: Title and chart each: losses, and metrics of all validation sets."""
    log = experiment.log
    figures = {}
    if log['losses']:
        figures['Training loss'] = draw_series(log['losses'], 'loss')
    for metric in dict.fromkeys(metric for _, metric in log['metrics']):
        series = {dataset: values for (dataset, name), values in log['metrics'].items() if name == metric}
        label = f'{metric.upper()} (dB)' if metric == 'psnr' else metric.upper()
        figures[f'Validation {metric.upper()}'] = draw_series(series, label)
    if not figures:
        raise DataError('the training log holds no loss and no validation yet')
    return _charts(figures, 'training')


def bit_map(experiment):
    """Markup: The heat map of the bits' probabilities."""
    iterations, probabilities = experiment.bit_probabilities
    if probabilities.shape[1] != experiment.space.num_bits:
        raise DataError(f'bit_probabilities.jsonl: expected {experiment.space.num_bits} bits, '
                        f'got {probabilities.shape[1]}')
    try:
        chosen = experiment.scored(experiment.genotype)
    except DeCoNASError:
        chosen = None
    return _svg(draw_heat_map(iterations, probabilities, experiment.space, chosen), 'bits',
                'Heat map of the probability of every bit over the iterations')


def trade_offs(experiment):
    """list[tuple[str, Markup]]: Title and chart each: PSNR against params and against Mult-Adds."""
    history, figures = experiment.history, {}
    for key, name, label, unit in COSTS:
        if key in history:
            figures[f'PSNR against {name}'] = draw_trade_off(
                history[key] / unit, history['psnr'], history['iter'], label, _marks(experiment, key, unit))
    if not figures:
        raise DataError('search_history.jsonl: no line holds params or mult_adds')
    return _charts(figures, 'cost')


def _marks(experiment, key, unit):
    """list[tuple]: Genotypes with a name, as far as they are known, for :func:`draw_trade_off`."""
    marks = []
    with suppress(DeCoNASError):
        marks.append((experiment.genotype_kind, 'D', getattr(experiment.cost, key) / unit, experiment.psnr))
    with suppress(DeCoNASError):
        published = experiment.published
        scored = np.flatnonzero(experiment.history['genotype'] == str(published))
        psnr = experiment.history['psnr'][scored[-1]] if len(scored) else None
        marks.append(('published', '*', getattr(experiment.counter.count(published), key) / unit, psnr))
    return marks


def halving(experiment):
    """dict: The ``chart``, how many ``generations`` there were, and a row for every rung."""
    rungs, rows = [], experiment.halving
    for generation, number in dict.fromkeys((row['generation'], row['rung']) for row in rows):
        found = [row for row in rows if (row['generation'], row['rung']) == (generation, number)]
        rungs.append({'generation': generation, 'number': number, 'steps': f'{found[0]["steps"]:,}',
                      'candidates': len(found), 'best': f'{found[0]["reward"]:.3f}',
                      'last': f'{found[-1]["reward"]:.3f}', 'kept': sum(row['kept'] for row in found)})
    return {'chart': _svg(draw_halving(rows), 'halving', 'Reward of every candidate over its weight steps'),
            'rungs': rungs, 'generations': rungs[-1]['generation']}


def best_ten(experiment):
    """list[dict]: The genotypes with the highest rewards of the last rounds."""
    history = experiment.history
    rows = []
    for row in experiment.best(10):
        genotype = experiment.scored(history['genotype'][row])
        cost = experiment.counter.count(genotype)
        rows.append({
            'strip': genotype_strip(genotype),
            'bits': str(genotype),
            'reward': f'{history["reward"][row]:.2f}',
            'psnr': f'{history["psnr"][row]:.2f}',
            'params': kilo(cost.params),
            'mult_adds': giga(cost.mult_adds),
            'iter': f'{history["iter"][row]:,.0f}',
        })
    return rows


def samples(experiment, pairs=None):
    """dict: ``source``, what the network is, and ``rows`` of crops."""
    net, source = sample_network(experiment)
    scale = experiment.network.get('upscale', 2)
    rows = []
    for name, lq, gt in pairs if pairs is not None else validation_pairs(experiment.options):
        sample = make_sample(net, name, lq, gt, scale)
        rows.append({
            'name': name,
            'versions': [(version, to_data_uri(image), sample.psnrs.get(version))
                         for version, image in sample.images.items()],
        })
    return {'source': source, 'rows': rows}


def times(experiment):
    """list[dict]: Time and share of each part, the longest first."""
    timing = experiment.timing
    total = sum(timing.values())
    if not total > 0:
        raise DataError('timing.json: no time recorded yet')
    return [{'part': part, 'time': duration(seconds), 'share': 100 * seconds / total}
            for part, seconds in sorted(timing.items(), key=lambda item: -item[1])]


def options(experiment):
    """dict: Name and text of the option file."""
    return {'file': experiment.folder.options_file.name, 'text': experiment.options_text}


def _charts(figures, prefix):
    return [(title, _svg(figure, f'{prefix}{index}', title)) for index, (title, figure) in enumerate(figures.items())]


def _svg(figure, name, description):
    return Markup(to_inline_svg(figure, name, description))
