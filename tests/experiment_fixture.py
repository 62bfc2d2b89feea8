"""Writes experiment folders as a search or a training leaves them."""
import json
from pathlib import Path

import cv2
import numpy as np
import torch
import yaml
from basicsr.utils.matlab_functions import imresize

from deconas_plugin.archs.deconas_arch import DeCoNASNet
from deconas_plugin.archs.deconas_supernet_arch import DeCoNASSuperNet
from deconas_plugin.cost.count import ComplexityCounter
from deconas_plugin.space.genotype import Genotype, SearchSpace

NUM_FEAT = 8


def write_search(folder, space=None, rounds=6, steps=4, derived=True):
    """Write a search without images.

    Args:
        folder (Path): ``experiments/<name>``.
        space (SearchSpace | None): Default: the paper's.
        rounds, steps (int): Controller rounds, and steps of two genotypes in each.
        derived (bool): Whether it is finished.

    Returns:
        Path: The folder.
    """
    folder, space, rng = Path(folder), space or SearchSpace(), np.random.default_rng(0)
    folder.mkdir(parents=True)
    counter, rows, probabilities = ComplexityCounter(space, NUM_FEAT), [], []
    for index in range(rounds):
        iteration, likely = 1000 * (index + 1), 0.5 + 0.2 * np.sin(np.arange(space.num_bits)) * index / rounds
        probabilities.append({'iter': iteration, 'probabilities': likely.tolist()})
        for step in range(steps):
            patches = rng.normal(0, 2)
            for _ in range(2):
                rows.append(_row(space, counter, rng, iteration, step, patches, likely))
    _write_lines(folder / 'search_history.jsonl', rows)
    _write_lines(folder / 'bit_probabilities.jsonl', probabilities)
    options = search_options(space)
    (folder / 'options.yml').write_text(yaml.safe_dump(options, sort_keys=False))
    (folder / 'timing.json').write_text(json.dumps({'weights': 3000., 'controller': 900., 'validation': 100.}))
    write_log(folder)
    if derived:
        write_derived(folder, Genotype.from_text(space, rows[-1]['genotype']))
    return folder


def search_options(space):
    """dict: Options of the search, with a validation set that does not exist."""
    return {
        'name': 'search_test', 'model_type': 'DeCoNASSearchModel', 'scale': 2,
        'datasets': {'val': {'name': 'photos', 'type': 'PairedImageDataset', 'dataroot_gt': 'no/hr',
                             'dataroot_lq': 'no/lr', 'io_backend': {'type': 'disk'}}},
        'network_g': {'type': 'DeCoNASSuperNet', 'num_feat': list(space.widths) or NUM_FEAT,
                      'num_block': space.num_block, 'num_layer': space.num_layer, 'upscale': 2,
                      'operations': list(space.operations), 'search_fusion': space.search_fusion,
                      'share_blocks': space.share_blocks},
        'search': {'warmup_iter': 0}, 'train': {'total_iter': 9000},
    }


def _row(space, counter, rng, iteration, step, patches, likely):
    genotype = Genotype(space, tuple(int(bit) for bit in rng.random(space.num_bits) < likely))
    cost, penalty = counter.count(genotype), 2 * counter.searched_params(genotype) / counter.searchable_params
    psnr = 30 + iteration / 10000 + penalty + patches + rng.normal(0, 0.02)
    return {'iter': iteration, 'step': step, 'genotype': str(genotype), 'psnr': psnr, 'penalties': {'params': penalty},
            'reward': psnr - penalty, 'baseline': 30., 'advantage': 0.1, 'log_prob': -20., 'entropy': 20.5,
            'params': cost.params, 'mult_adds': cost.mult_adds, 'time': iteration / 10}


def write_log(folder, iterations=range(100, 6001, 100), dataset='photos'):
    """Write a training log in the format of BasicSR 1.4.2."""
    lines = []
    for iteration in iterations:
        lines.append(f'2026-01-01 00:00:00,000 INFO: [searc..][epoch:  0, iter:{iteration:8,d}, lr:(1.000e-04,)] '
                     f'[eta: 0:01:00, time (data): 0.100 (0.001)] l_pix: {1 / iteration:.4e} ')
        if iteration % 1000 == 0:
            lines.append(f'2026-01-01 00:00:00,000 INFO: Validation {dataset}\n'
                         f'\t # psnr: {30 + iteration / 1000:.4f}\tBest: 36.0000 @ 6000 iter\n'
                         f'\t # ssim: {0.9 + iteration / 1e5:.4f}\tBest: 0.9600 @ 6000 iter\n')
    (folder / f'train_{folder.name}_20260101_000000.log').write_text('\n'.join(lines) + '\n')


def write_derived(folder, genotype):
    """Write what the derivation writes."""
    (folder / 'derived').mkdir()
    content = {'genotype': genotype.to_dict(), 'connections': genotype.describe(),
               'result': {'psnr': 31.5, 'reward': 30.5, 'params': 1, 'mult_adds': 1},
               'provenance': {'search': folder.name, 'max_params': None, 'manual_seed': 0}}
    (folder / 'derived' / 'genotype.yml').write_text(yaml.safe_dump(content))
    for name in ('train_derived.yml', 'test_derived.yml'):
        (folder / 'derived' / name).write_text('name: derived\n')


def add_images(folder):
    """Write a validation set beside an experiment and name it in the options."""
    rng = np.random.default_rng(0)
    for index in range(4):
        hr = cv2.GaussianBlur(rng.integers(0, 256, (200, 240, 3), dtype=np.uint8), (0, 0), 2)
        hr = cv2.normalize(hr, None, 0, 255, cv2.NORM_MINMAX)
        for kind, image in (('hr', hr), ('lr', imresize(hr.astype(np.float32) / 255, 0.5).clip(0, 1) * 255)):
            (folder.parent / kind).mkdir(exist_ok=True)
            cv2.imwrite(str(folder.parent / kind / f'{index}.png'), image.round().astype(np.uint8))
    options = yaml.safe_load((folder / 'options.yml').read_text())
    options['datasets']['val'].update(dataroot_gt=str(folder.parent / 'hr'), dataroot_lq=str(folder.parent / 'lr'))
    (folder / 'options.yml').write_text(yaml.safe_dump(options, sort_keys=False))


def add_inherited_weights(folder):
    """Write random weights as those that the derived network inherits."""
    net = DeCoNASNet(str(folder / 'derived' / 'genotype.yml'), num_feat=NUM_FEAT)
    torch.save({'params': net.state_dict()}, folder / 'derived' / 'net_g_inherited.pth')


def add_supernet_weights(folder):
    """Write random weights as a checkpoint of the supernet."""
    (folder / 'models').mkdir()
    torch.save({'params': DeCoNASSuperNet(num_feat=NUM_FEAT).state_dict()}, folder / 'models' / 'net_g_5000.pth')


def _write_lines(path, rows):
    path.write_text(''.join(json.dumps(row) + '\n' for row in rows))
