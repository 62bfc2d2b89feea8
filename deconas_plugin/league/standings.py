"""What a league found: a table in three forms, winners, and a picture."""
import csv
import io
import json
from dataclasses import dataclass
from math import isnan, nan, sqrt
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
from scipy import stats

from deconas_plugin.cost.pareto import front
from deconas_plugin.files.atomic import save_text
from deconas_plugin.visual.theme import COLOURS, INK, MUTED, new_figure, save, styled


@dataclass(frozen=True)
class Standing:
    """A member's line of the table.

    Attributes:
        name (str): Of the member.
        is_own (bool): Whether it is of this project's search space.
        params (int): Parameters as deployed.
        mult_adds (int): Mult-Adds @720p as deployed.
        latency (float): Milliseconds for a 1280x720 output; NaN before it is measured.
        rate (float): Learning rate that was chosen.
        rate_at_end (bool): Whether that is the smallest or the largest that was tried.
        scores (list[dict]): For each seed that is done: ``val`` and test sets -> ``psnr`` (dB) and ``ssim``.
    """
    name: str
    is_own: bool
    params: int
    mult_adds: int
    latency: float
    rate: float
    rate_at_end: bool
    scores: list

    def values(self, images='val', measure='psnr'):
        """list[float]: Of each seed."""
        return [score[images][measure] for score in self.scores]

    def mean(self, images='val', measure='psnr'):
        """float: Over the seeds, NaN where none is done."""
        return fmean(self.values(images, measure)) if self.scores else nan

    @property
    def psnr(self):
        """float: What ranks, dB."""
        return self.mean()

    @property
    def deviation(self):
        """float: Standard deviation of the PSNR over the seeds, dB; NaN for fewer than two."""
        return stdev(self.values()) if len(self.scores) > 1 else nan


def write_report(opt, standings, notes, folder):
    """Write ``league.md``, ``league.csv``, ``league.json`` and ``league.png``.

    Args:
        opt (dict): Options of the league.
        standings (list[Standing]): Its members, in any order; unfinished ones too.
        notes (list[str]): How it was done.
        folder (str | Path): Where.

    Raises:
        StorageError: A file cannot be written.
        OptionError: The picture cannot be written.
    """
    ranked = sorted(standings, key=lambda standing: (isnan(standing.psnr), -standing.psnr))
    done = [standing for standing in ranked if standing.scores]
    scores = [score for standing in done for score in standing.scores]
    # A test set that came late is shown when all are scored on it.
    sets = [name for name in (scores or [{}])[0] if name != 'val' and all(name in score for score in scores)]
    lines = winners(ranked, opt)
    texts = {'md': _markdown(opt, ranked, sets, lines, notes), 'csv': _csv(ranked, sets),
             'json': _json(opt, ranked, lines, notes)}
    for ending, text in texts.items():
        save_text(text, Path(folder, f'league.{ending}'))
    if done:
        save(draw_league(done, opt), Path(folder, 'league.png'))


def winners(ranked, opt):
    """list[str]: A sentence on the best member within each budget, and on whether its lead exceeds the seed noise.

    Args:
        ranked (list[Standing]): Best first.
        opt (dict): Options of the league, with its budgets.
    """
    done = [standing for standing in ranked if standing.scores]
    lines = []
    for budget in sorted({*(opt.get('budgets') or ()), opt['max_mult_adds']}):
        within = [standing for standing in done if standing.mult_adds <= budget]
        if not within:
            lines.append(f'At most {budget / 1e9:g} G: no member so far.')
            continue
        best, *others = within
        line = f'At most {budget / 1e9:g} G: {best.name}, {best.psnr:.3f} dB'
        if others:
            lead, limit = best.psnr - others[0].psnr, seed_limit(best, others[0])
            line += f', {lead:.3f} dB before {others[0].name}'
            if not isnan(limit):
                line += f' ({"more" if lead > limit else "not more"} than seeds explain: {limit:.3f} dB)'
        lines.append(f'{line}.')
    return lines


def seed_limit(one, other):
    """float: The largest lead in dB that seeds explain: half the 95 % interval of the difference of two means, where
    each member has a noise of its own (Welch, 1947); NaN where one has fewer than two seeds."""
    parts = [standing.deviation**2 / len(standing.scores) for standing in (one, other) if len(standing.scores) > 1]
    if len(parts) < 2:
        return nan
    if not sum(parts):
        return 0.0
    freedom = sum(parts)**2 / sum(part**2 / (len(standing.scores) - 1)
                                  for part, standing in zip(parts, (one, other), strict=True))
    return float(stats.t.ppf(0.975, freedom) * sqrt(sum(parts)))


def _markdown(opt, ranked, sets, lines, notes):
    val = opt['datasets']['val']['name']
    head = ['', 'network', 'params', 'Mult-Adds @720p', 'latency', 'learning rate', f'PSNR on {val} (dB)',
            *(f'{name} PSNR / SSIM' for name in sets)]
    rows = [head, ['---', '---', *['--:'] * (len(head) - 2)]]
    for place, standing in enumerate(ranked, 1):
        noise = '' if isnan(standing.deviation) else f' ± {standing.deviation:.3f}'
        finished = len(standing.scores) == len(opt['seeds'])
        rows.append([
            str(place) if standing.scores else '', standing.name, f'{standing.params / 1e3:,.0f}K',
            f'{standing.mult_adds / 1e9:.1f} G', '' if isnan(standing.latency) else f'{standing.latency:.0f} ms',
            f'{standing.rate:g}{" *" if standing.rate_at_end else ""}',
            (f'{standing.psnr:.3f}{noise}' if standing.scores else 'not trained yet')
            + ('' if finished or not standing.scores else f' ({len(standing.scores)} of {len(opt["seeds"])} seeds)'),
            *(f'{standing.mean(name):.2f} / {standing.mean(name, "ssim"):.4f}' if standing.scores else ''
              for name in sets)])
    table = '\n'.join(f'| {" | ".join(row)} |' for row in rows)
    bullets = '\n'.join(f'- {note}' for note in notes)
    return (f'# {opt["name"]}: x{opt["scale"]}, at most {opt["max_mult_adds"] / 1e9:g} G Mult-Adds @720p\n\n{table}\n\n'
            + '\n\n'.join(lines) + f'\n\n{bullets}\n')


def _csv(ranked, sets):
    file = io.StringIO()
    writer = csv.writer(file, lineterminator='\n')
    writer.writerow(['network', 'params', 'Mult-Adds @720p', 'latency [ms]', 'learning rate', 'seeds', 'PSNR [dB]',
                     'deviation [dB]', 'SSIM', *(f'{name} {unit}' for name in sets for unit in ('PSNR [dB]', 'SSIM'))])
    for standing in ranked:
        tests = [standing.mean(name, measure) for name in sets for measure in ('psnr', 'ssim')]
        values = [standing.psnr, standing.deviation, standing.mean('val', 'ssim'), *tests]
        latency = '' if isnan(standing.latency) else round(standing.latency, 3)
        writer.writerow([standing.name, standing.params, standing.mult_adds, latency, standing.rate,
                         len(standing.scores), *('' if isnan(value) else round(value, 5) for value in values)])
    return file.getvalue()


def _json(opt, ranked, lines, notes):
    rows = [{key: None if isinstance(value, float) and isnan(value) else value
             for key, value in {**vars(standing), 'psnr': standing.psnr}.items()} for standing in ranked]
    return json.dumps({'options': opt, 'members': rows, 'winners': lines, 'notes': notes}, indent=1)


@styled
def draw_league(standings, opt):
    """Draw PSNR against Mult-Adds, parameters and latency, with the deviation over the seeds as error bars.

    Args:
        standings (list[Standing]): Members with at least one seed done.
        opt (dict): Options of the league.

    Returns:
        Figure: The chart; what no other member beats is joined by a line.
    """
    figure = new_figure(9.6, 3.6)
    panels = figure.subplots(1, 3, sharey=True)
    psnr = np.array([standing.psnr for standing in standings])
    bars = np.nan_to_num([standing.deviation for standing in standings])
    costs = {'Mult-Adds @720p (G)': [standing.mult_adds / 1e9 for standing in standings],
             'parameters (K)': [standing.params / 1e3 for standing in standings],
             'latency for 1280x720 (ms)': [standing.latency for standing in standings]}
    for axes, (label, cost) in zip(panels, costs.items(), strict=True):
        cost = np.array(cost)
        axes.set_xlabel(label)
        if np.isfinite(cost).all():
            best = front(np.stack([cost, -psnr], axis=1))
            axes.plot(cost[best], psnr[best], color=MUTED, linewidth=1, drawstyle='steps-post', zorder=1)
        for index, standing in enumerate(standings):
            axes.errorbar(cost[index], psnr[index], bars[index], fmt='o' if standing.is_own else 's', capsize=2,
                          color=COLOURS[index % len(COLOURS)], markersize=5, markeredgecolor=INK if standing.is_own else
                          'none', label=standing.name)
    panels[0].set_ylabel(f'PSNR on {opt["datasets"]["val"]["name"]} (dB)')
    panels[0].axvline(opt['max_mult_adds'] / 1e9, color=MUTED, linestyle=(0, (2, 1.5)), linewidth=1)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc='outside upper left', ncols=4, columnspacing=1.2, handletextpad=0.3)
    return figure
