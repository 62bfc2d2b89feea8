"""Does the shared-weight score rank networks as training them alone does?"""
import random

import torch
from basicsr.data import build_dataset
from basicsr.losses import build_loss
from basicsr.utils.registry import DATASET_REGISTRY

from deconas_plugin.archs.deconas_arch import DeCoNASNet
from deconas_plugin.data.patch_draw import PatchDraw
from deconas_plugin.errors import OptionError
from deconas_plugin.search.reward import patch_psnrs
from deconas_plugin.study.statistics import rank_correlation
from deconas_plugin.utils.precision import autocast, resolve_precision

POOL = 50  # drawn genotypes per chosen one


def stratified_genotypes(space, counter, num, seed):
    """Genotypes of all sizes.

    Args:
        space (SearchSpace): Where from.
        counter (ComplexityCounter): Their cost.
        num (int): How many.
        seed (int): Of the draws.

    Returns:
        list[Genotype]: Different ones, one of each of ``num`` equally wide ranges of Mult-Adds as far as there are
        such, cheapest first; fewer than ``num`` where the space has no more.
    """
    rng = random.Random(seed)
    pool = {}
    for _ in range(POOL * num):
        density = rng.random()  # uniform bits would give hardly any small or large network
        # The width is drawn by itself: narrow networks shall be as dense as wide ones.
        width = [rng.getrandbits(1) for _ in range(space.num_width_bits)]
        genotype = space.genotype(width + [int(rng.random() < density) for _ in range(space.num_bits - len(width))])
        pool[genotype] = counter.count(genotype).mult_adds
    smallest = min(pool.values())
    extent = max(pool.values()) - smallest or 1  # all may cost the same
    by_range = {}
    for genotype, cost in pool.items():
        by_range.setdefault(min(int((cost - smallest) / extent * num), num - 1), genotype)
    rest = [genotype for genotype in pool if genotype not in by_range.values()]
    chosen = [*by_range.values(), *rest[:num - len(by_range)]]
    return sorted(chosen, key=pool.get)


def check_trains_alone(opt):
    """Check that :func:`train_alone` can be used with the options of a search.

    Raises:
        OptionError: The dataset or the loss is of no use.
    """
    dataset = opt['datasets']['train']['type']
    if not hasattr(DATASET_REGISTRY.get(dataset), 'accepts_draws'):
        raise OptionError('datasets.train.type: expected DeCoNASPatchDataset, which can give every network the same '
                          f'patches, got {dataset}; search with it to rank networks')
    if not opt['train'].get('pixel_opt'):
        raise OptionError('train.pixel_opt: missing; networks are trained alone with the pixel loss, search with one '
                          'to rank networks')


def train_alone(experiment, genotype, num_steps, seed=0):
    """Train a derived network from scratch, shortly.

    Args:
        experiment (SearchExperiment): Its training data, optimizer, loss and reward set are used.
        genotype (Genotype): Which network.
        num_steps (int): Weight steps; the learning rate falls to zero over them (cosine).
        seed (int): Of weights and patches.

    Returns:
        float: PSNR on the whole reward set, in dB.
    """
    opt, device = experiment.opt, experiment.device
    torch.manual_seed(seed)
    net = DeCoNASNet(**experiment.supernet.derived_options(genotype))
    net.to(device, memory_format=torch.channels_last)
    precision = resolve_precision(opt['train'].get('precision'), device, experiment.counter.widths)
    optim_opt = {key: value for key, value in opt['train']['optim_g'].items() if key != 'type'}
    optimizer = getattr(torch.optim, opt['train']['optim_g']['type'])(net.parameters(), **optim_opt)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, num_steps)
    loss = build_loss(opt['train']['pixel_opt']).to(device)
    dataset_opt = {**opt['datasets']['train'], 'phase': 'train', 'scale': opt['scale']}
    if dataset_opt.get('cache') == 'cuda':
        dataset_opt['cache'] = 'disk'  # the other is for the loader of a whole training
    for lq, gt in _batches(build_dataset(dataset_opt), num_steps, dataset_opt['batch_size_per_gpu'], seed):
        lq, gt = (images.to(device, memory_format=torch.channels_last) for images in (lq, gt))
        optimizer.zero_grad(set_to_none=True)
        with autocast(precision, device):
            output = net(lq)
        loss(output.float(), gt).backward()
        optimizer.step()
        schedule.step()
    batches = list(experiment.reward_set.batches(opt['search']['reward']['batch_size']))
    with torch.no_grad():
        return float(patch_psnrs(net.eval(), batches, experiment.reward).mean())


def _batches(dataset, num_steps, batch_size, seed):
    rng = random.Random(seed)
    for step in range(num_steps):
        draws = [PatchDraw(rng.randrange(len(dataset)), 0, step * batch_size + i, seed) for i in range(batch_size)]
        samples = [dataset[draw] for draw in draws]
        yield tuple(torch.stack([sample[key] for sample in samples]) for key in ('lq', 'gt'))


def correlations(genotypes, shared, alone, counter):
    """dict[str, dict]: How the shared-weight PSNR, and trivially params and Mult-Adds, rank the networks; see
    :func:`rank_correlation`."""
    costs = [counter.count(genotype) for genotype in genotypes]
    predictions = {'shared weights': shared, 'params': [cost.params for cost in costs],
                   'Mult-Adds': [cost.mult_adds for cost in costs]}
    return {name: rank_correlation(values, alone) for name, values in predictions.items()}


def shared_psnr(experiment, genotypes):
    """list[float]: PSNR with shared weights on the whole reward set, in dB."""
    batches = list(experiment.reward_set.batches(experiment.opt['search']['reward']['batch_size']))
    return [score.psnr for score in experiment.reward.score(genotypes, batches)]
