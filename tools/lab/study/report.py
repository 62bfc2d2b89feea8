"""Tables and plots of a study."""
import math
from statistics import mean, stdev

from matplotlib.figure import Figure

NO_RANKS = 'undefined'  # of equal values


def rank_table(found, title):
    """str: Markdown; ``found`` as :func:`tools.lab.study.rank.correlations` gives it."""
    lines = [f'Rank correlation with training alone ({title}), 95 % bootstrap interval:', '',
             '| ranked by | Kendall tau | Spearman |', '|---|---|---|']
    for name, values in found.items():
        lines.append(f'| {name} | {_interval(values["kendall"])} | {_interval(values["spearman"])} |')
    return '\n'.join(lines) + '\n'


def yardstick_table(found, title, enough):
    """str: Markdown.

    Args:
        found (dict): As :func:`tools.lab.study.statistics.yardstick` gives it.
        title (str): What was trained alone.
        enough (float): Kendall's tau between seeds from which on the yardstick can tell.
    """
    verdict = ('It can tell.' if found['seeds'][0] >= enough else
               f'It cannot tell: below {enough} it ranks noise; more steps or a wider choice of networks would help.')
    lines = [f'Yardstick: {title}. Kendall tau between seeds: {_interval(found["seeds"])}. {verdict}', '',
             'Rank correlation with the mean over seeds, 95 % bootstrap interval; corrected: with what the mean would '
             'be without the noise of the seeds:', '',
             '| ranked by | Kendall tau | corrected | Spearman |', '|---|---|---|---|']
    lines += [f'| {name} | {" | ".join(_interval(values[key]) for key in ("kendall", "corrected", "spearman"))} |'
              for name, values in found['predictors'].items()]
    return '\n'.join(lines) + '\n'


def strategy_table(rewards, first_rewards, budget):
    """str: Markdown.

    Args:
        rewards, first_rewards (dict[str, list[float]]): By strategy, one value per seed, in dB: of the derived network
            and of the strategy's best guess alone.
        budget (int): Scored genotypes.
    """
    num = len(next(iter(rewards.values())))
    lines = [f'Reward after {budget} scored genotypes, mean and standard deviation over {num} seeds, in dB:', '',
             '| strategy | derived | best guess | above random on the same supernet, mean and range | seeds won |',
             '|---|---|---|---|---|']
    for name, values in rewards.items():
        # Supernets and reward patches differ by more than strategies do.
        gains = [a - b for a, b in zip(values, rewards['random'], strict=True)]
        gain = '' if name == 'random' else f'{mean(gains):+.3f} ({min(gains):+.3f} to {max(gains):+.3f})'
        won = '' if name == 'random' else f'{sum(value > 0 for value in gains)} of {num}'
        lines.append(f'| {name} | {_spread(values)} | {_spread(first_rewards[name])} | {gain} | {won} |')
    return '\n'.join(lines) + '\n'


def fairness_table(found):
    """str: Markdown; ``found``: by variant of supernet training, Kendall tau with interval, one list per seed."""
    lines = ['Kendall tau of shared weights with training alone, by how the supernet was trained (same number of '
             'forward and backward passes):', '',
             '| weight steps | Kendall tau, 95 % bootstrap interval, by seed | mean |', '|---|---|---|']
    for name, values in found.items():
        taus = '; '.join(map(_interval, values))
        average = mean(value[0] for value in values)
        lines.append(f'| {name} | {taus} | {NO_RANKS if math.isnan(average) else f"{average:.2f}"} |')
    return '\n'.join(lines) + '\n'


def plot_ranks(name, predicted, alone, mult_adds, path):
    """Scatter of what ``name`` predicts against PSNR alone, coloured by Mult-Adds @720p."""
    figure = Figure(figsize=(5, 4), layout='constrained')
    axes = figure.subplots()
    points = axes.scatter(predicted, alone, c=[value / 1e9 for value in mult_adds], cmap='viridis')
    figure.colorbar(points, label='Mult-Adds @720p (G)')
    axes.set(xlabel=name, ylabel='PSNR trained alone (dB)')
    figure.savefig(path, dpi=120)


def plot_strategies(curves, num_samples, path):
    """Reward of what each strategy asks for, over scored genotypes; mean and range over seeds.

    Args:
        curves (dict[str, list[list[float]]]): By strategy and seed; dB above the network with everything selected.
        num_samples (int): Genotypes per point.
        path (Path): The PNG file.
    """
    figure = Figure(figsize=(6, 4), layout='constrained')
    axes = figure.subplots()
    for name, seeds in curves.items():
        columns = list(zip(*seeds, strict=True))
        scored = [num_samples * (i + 1) for i in range(len(columns))]
        line, = axes.plot(scored, [mean(column) for column in columns], label=name)
        axes.fill_between(scored, [min(column) for column in columns], [max(column) for column in columns],
                          color=line.get_color(), alpha=0.15)
    axes.set(xlabel='scored genotypes', ylabel='reward above that of the whole network (dB)')
    axes.legend()
    figure.savefig(path, dpi=120)


def _interval(values):
    return NO_RANKS if math.isnan(values[0]) else f'{values[0]:.2f} [{values[1]:.2f}, {values[2]:.2f}]'


def _spread(values):
    return f'{mean(values):.3f} ± {stdev(values):.3f}' if len(values) > 1 else f'{values[0]:.3f}'
