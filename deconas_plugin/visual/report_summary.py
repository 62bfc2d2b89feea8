"""The head of the report: how far the experiment is, and its figures at a glance."""
import math

from deconas_plugin.errors import DataError, DeCoNASError


def kilo(number):
    """str: A count in thousands, as papers print parameters: ``1,693 K``."""
    return f'{number / 1e3:,.0f} K'


def giga(number):
    """str: A count in billions, as papers print Mult-Adds: ``382.7 G``."""
    return f'{number / 1e9:,.1f} G'


def duration(seconds):
    """str: ``6 h 12 min``, ``3 min 5 s`` or ``12.3 s``."""
    if seconds < 60:
        return f'{seconds:.1f} s'
    minutes, seconds = divmod(round(seconds), 60)
    if minutes < 60:
        return f'{minutes} min {seconds} s'
    hours, minutes = divmod(round(minutes + seconds / 60), 60)
    return f'{hours} h {minutes} min' if hours < 48 else f'{hours / 24:.1f} days'


def power_of_two(exponent):
    """str: ``2³⁰``."""
    return '2' + str(exponent).translate(str.maketrans('0123456789', '⁰¹²³⁴⁵⁶⁷⁸⁹'))


def status(experiment):
    """str: How far the experiment is, in one line; in a second sentence, where so, that its ranking is noise."""
    try:
        signal = experiment.signal[1][-1]
        return _progress(experiment) + ('' if signal.ranks else f' {signal.warning}.')
    except DataError:
        return _progress(experiment)


def _progress(experiment):
    if experiment.is_derived:
        return 'Finished: a genotype is derived.'
    if experiment.is_halving_alone:
        return 'Candidates train alone; running, or stopped.'
    try:
        iteration = experiment.last_iteration
    except DeCoNASError:
        return 'Nothing recorded yet.'
    try:
        total = int(experiment.options['train']['total_iter'])
    except (DeCoNASError, LookupError, TypeError, ValueError):
        return f'At iteration {iteration:,}; running, or stopped.'
    if iteration >= total:
        return f'Trained to the end, iteration {total:,}.'
    return f'At iteration {iteration:,} of {total:,}; running, or stopped.'


def tiles(experiment):
    """list[tuple[str, str, str]]: Label, figure and note; those that are not known yet are left out."""
    found = []
    for tile in (_psnr, _reward, _signal, _params, _mult_adds, _scored, _validation, _time):
        try:
            found.append(tile(experiment))
        except DeCoNASError:
            continue
    return found


def _psnr(experiment):
    steps = experiment.provenance.get('halving_steps')
    weights = f'after {steps:,} steps alone' if steps else 'shared weights'
    return 'PSNR', f'{experiment.psnr:.2f} dB', f'{experiment.genotype_kind}, {weights}'


def _reward(experiment):
    history = experiment.history
    return 'Best reward', f'{history["reward"][experiment.best(1)[0]]:.2f} dB', 'last round, PSNR less penalty'


def _signal(experiment):
    signal = experiment.signal[1][-1]
    return ('Spread of genotypes', f'{signal.spread:.3f} dB',
            f'noise {signal.noise:.3f} dB, blocks bring {signal.block_gain:.2f} dB')


def _params(experiment):
    return 'Parameters', kilo(experiment.cost.params), _published(experiment, 'params', kilo)


def _mult_adds(experiment):
    return 'Mult-Adds @720p', giga(experiment.cost.mult_adds), _published(experiment, 'mult_adds', giga)


def _published(experiment, key, shown):
    try:
        return f'published: {shown(getattr(experiment.counter.count(experiment.published), key))}'
    except DeCoNASError:
        return ''


def _scored(experiment):
    exponent = round(math.log2(experiment.space.num_genotypes))
    return 'Genotypes scored', f'{len(experiment.history["reward"]):,}', f'of {power_of_two(exponent)}'


def _validation(experiment):
    metrics = experiment.log['metrics']
    if not metrics:
        raise DataError('no validation yet')
    (dataset, metric), (_, values) = next(iter(metrics.items()))
    unit = ' dB' if metric == 'psnr' else ''
    return f'{metric.upper()} on {dataset}', f'{values[-1]:.2f}{unit}', 'last validation'


def _time(experiment):
    if experiment.is_halving_alone:
        raise DataError('only weight steps with shared weights and controller rounds are timed')
    try:
        return 'Time', duration(sum(experiment.timing.values())), ''
    except DataError:
        if 'time' not in experiment.history:
            raise
        return 'Search time', duration(experiment.history['time'][-1]), '' if experiment.is_derived else 'so far'
