"""The rank correlation of one search, as tools/rank.py runs it."""
import hashlib
from pathlib import Path

from rich.console import Console

from deconas_plugin.search.experiment import SearchExperiment
from deconas_plugin.study.rank import (
    check_trains_alone,
    correlations,
    shared_psnr,
    stratified_genotypes,
    train_alone,
)
from deconas_plugin.study.report import plot_ranks, rank_table
from deconas_plugin.study.results import Results
from deconas_plugin.utils.atomic import save_text


def run_rank(folder, output=None, num=24, steps=500, iteration=None, seed=0):
    """Rank networks by shared weights and by training alone.

    Args:
        folder (str | Path): Experiment folder of a search.
        output (str | Path | None): Folder for the results. Default: ``rank`` inside it.
        num (int): Networks; fewer where the space has no more.
        steps (int): Weight steps of each network alone.
        iteration (int | None): Checkpoint of the search. Default: the latest.
        seed (int): Of the networks, their weights and their patches.

    Returns:
        dict: As :func:`correlations`.

    Raises:
        DeCoNASError: There is no such search, its data or loss is of no use here, or the folder holds results of
            other settings.
    """
    experiment = SearchExperiment(folder, iteration)
    output = Path(output or Path(folder, 'rank'))
    check_trains_alone(experiment.opt)
    results = Results(output, dict(num=num, steps=steps, seed=seed, **_searched(experiment)))
    genotypes = stratified_genotypes(experiment.supernet.space, experiment.counter, num, seed)
    shared = results.get('shared', lambda: shared_psnr(experiment, genotypes))
    alone = []
    for index, genotype in enumerate(genotypes):
        alone.append(results.get(f'alone_{index}', lambda genotype=genotype: train_alone(
            experiment, genotype, steps, seed)))
        Console().print(f'{index + 1}/{len(genotypes)}: {genotype}  shared {shared[index]:.3f} dB, '
                        f'alone {alone[-1]:.3f} dB', soft_wrap=True)
    found = correlations(genotypes, shared, alone, experiment.counter)
    text = rank_table(found, f'{len(genotypes)} networks, {steps} steps alone')
    save_text(text, output / 'rank.md')
    plot_ranks(shared, alone, [experiment.counter.count(genotype).mult_adds for genotype in genotypes],
               output / 'rank.png')
    Console().print(text, soft_wrap=True)
    return found


def _searched(experiment):
    """dict: What the pieces depend on: which weights are shared, and the options for scoring and training alone."""
    opt, train = experiment.opt, experiment.opt['train']
    weights = experiment.folder / 'models' / f'net_g_{experiment.iteration}.pth'
    return {
        # Says more than the iteration: that of net_g_latest.pth is in no file, and other searches count alike.
        'weights': hashlib.sha256(weights.read_bytes()).hexdigest()[:16],
        'scale': opt['scale'],
        'manual_seed': opt['manual_seed'],
        'network_g': opt['network_g'],
        'datasets': {'train': opt['datasets']['train']},
        'train': {key: train.get(key) for key in ('optim_g', 'pixel_opt', 'precision')},
        'search': {'reward': opt['search']['reward']},
    }
