"""Supernets for studies: trained by the pipeline of searches, without a controller round."""

from deconas_plugin.files.experiment_folder import ExperimentFolder
from deconas_plugin.files.option_files import save_options
from deconas_plugin.runs.derivation import SearchExperiment
from deconas_plugin.runs.pipeline import run_training


def trained_supernet(opt, output, name, steps, seed, changes, minutes=None, halving=None):
    """Train a supernet, or go on with it, or find it trained.

    Args:
        opt (dict): Options of a search.
        output (Path): Folder of the study; the supernet is ``experiments/<name>`` in it.
        name (str): Of this supernet.
        steps (int): Weight steps; the learning rate falls along a cosine over them. With 0 it stays as it begins.
        seed (int): Of everything random.
        changes (dict): Other options of the section ``search``; ``weight_sampling`` must ask no strategy.
        minutes (float | None): Wall-clock limit.
        halving (dict | None): Option ``derive.halving``, without which there is no search with 0 steps.

    Returns:
        SearchExperiment: The supernet, with a controller that has learned nothing.

    Raises:
        Interrupted: A signal or the time limit asked to stop; the last step has been saved.
    """
    folder = ExperimentFolder.named(output, name)
    if not folder.weights().exists():
        path = output / f'{name}.yml'
        save_options(_options(opt, name, steps, seed, changes, minutes, halving), path)
        run_training('search', path, root=output.resolve(), auto_resume=True)
    return SearchExperiment(folder.path)


def _options(opt, name, steps, seed, changes, minutes, halving):
    train = {**opt['train'], 'total_iter': steps, 'max_minutes': minutes}
    if steps:
        train['scheduler'] = {'type': 'CosineAnnealingRestartLR', 'periods': [steps], 'restart_weights': [1]}
    return {**opt, 'name': name, 'manual_seed': seed, 'train': train, 'derive': {**opt['derive'], 'halving': halving},
            'search': {**opt['search'], **changes, 'warmup_iter': steps},
            'val': {**(opt.get('val') or {}), 'val_freq': steps + 1, 'save_img': False, 'bicubic': False},
            'logger': {**opt['logger'], 'use_tb_logger': False, 'save_checkpoint_freq': 500}}
