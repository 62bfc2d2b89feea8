"""Search strategies on one trained supernet, each with the same budget of scored genotypes."""
import random

import torch
from basicsr.archs import build_network

from deconas_plugin.search.strategy import build_strategy


def search_with(experiment, options, budget, num_samples, num_candidates, seed):
    """Search with frozen shared weights, then derive.

    Args:
        experiment (SearchExperiment): Supernet, reward and controller options.
        options (dict): ``search.strategy`` options.
        budget (int): Genotypes scored while searching, each on one batch of the reward set.
        num_samples (int): Of them, how many at a time.
        num_candidates (int): Genotypes of the strategy's proposal that the derivation scores on the whole set.
        seed (int): Of everything random.

    Returns:
        dict: ``genotype`` and ``reward`` (dB, whole reward set) of the derived network, ``first_reward`` of the
        strategy's best guess alone, ``gains``: mean reward over every ``num_samples``
        while searching, less that of the network with everything selected on the same patches.
    """
    torch.manual_seed(seed)
    rng = random.Random(seed)
    controller = build_network({**experiment.opt['network_c'], 'space': experiment.supernet.space})
    strategy = build_strategy(controller, options, seed, experiment.counter)
    batch_size = experiment.opt['search']['reward']['batch_size']
    gains, everything = [], experiment.counter.everything
    for batch in experiment.reward_set.draws(batch_size, budget // num_samples, rng, strategy.same_patches):
        scores = experiment.reward.score(strategy.ask(num_samples), [batch])
        log = strategy.tell([score.genotype for score in scores], [score.reward for score in scores])
        reference, = experiment.reward.score([everything], [batch])
        gains.append(log['reward'] - reference.reward)
    candidates = strategy.candidates(num_candidates - 1)
    scores = experiment.reward.score(candidates, list(experiment.reward_set.batches(batch_size)))
    best = max(scores, key=lambda score: score.reward)
    return {'genotype': str(best.genotype), 'reward': best.reward, 'first_reward': scores[0].reward,
            'gains': gains, **experiment.counter.count(best.genotype).figures()}
