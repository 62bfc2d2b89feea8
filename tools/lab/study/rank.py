"""Does the shared-weight score rank networks as training them alone does?"""
import random

from tools.lab.study.statistics import rank_correlation

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
        genotype = space.sample(rng, rng.random())  # uniform bits would give hardly any small or large network
        pool[genotype] = counter.count(genotype).mult_adds
    smallest = min(pool.values())
    extent = max(pool.values()) - smallest or 1  # all may cost the same
    by_range = {}
    for genotype, cost in pool.items():
        by_range.setdefault(min(int((cost - smallest) / extent * num), num - 1), genotype)
    rest = [genotype for genotype in pool if genotype not in by_range.values()]
    chosen = [*by_range.values(), *rest[:num - len(by_range)]]
    return sorted(chosen, key=pool.get)


def train_alone(training, genotype, num_steps):
    """Train a derived network from scratch, shortly.

    Args:
        training (AloneTraining): Under which circumstances.
        genotype (Genotype): Which network.
        num_steps (int): Weight steps.

    Returns:
        float: PSNR on the whole reward set, in dB.
    """
    net = training.fresh(genotype)
    training.train(net, num_steps)
    return training.score(net)


def train_on(training, net, rungs):
    """Train a network as the halving does.

    Args:
        training (AloneTraining): Under which circumstances.
        net (DeCoNASNet): With shared or initial weights.
        rungs (list[int]): Weight steps of each part.

    Returns:
        list[float]: PSNR on the whole reward set after each part, in dB.
    """
    state, done, psnrs = None, 0, []
    for steps in rungs:
        state = training.train_on(net, steps, done, state)
        done += steps
        psnrs.append(training.score(training.averaged(net, state)))
    return psnrs


def predictors(genotypes, shared, counter):
    """dict[str, list[float]]: What ranks the networks without training them: shared-weight PSNR unless that is None,
    and trivially params and Mult-Adds."""
    costs = [counter.count(genotype) for genotype in genotypes]
    trivial = {'params': [cost.params for cost in costs], 'Mult-Adds': [cost.mult_adds for cost in costs]}
    return trivial if shared is None else {'shared weights': shared, **trivial}


def correlations(genotypes, shared, alone, counter):
    """dict[str, dict]: How the :func:`predictors` rank the networks; see :func:`rank_correlation`."""
    return {name: rank_correlation(values, alone) for name, values in predictors(genotypes, shared, counter).items()}


def shared_psnr(experiment, genotypes):
    """list[float]: PSNR with shared weights on the whole reward set, in dB."""
    batches = list(experiment.reward_set.batches(experiment.opt['search']['reward']['batch_size']))
    return [score.psnr for score in experiment.reward.score(genotypes, batches)]
