"""Search strategies on one trained supernet, each with the same budget of scored genotypes."""
import random

import torch

from deconas_plugin.search.build import SearchParts


def fresh_strategy(experiment, options, seed):
    """SearchStrategy: One that has learned nothing, with a controller of its own.

    Args:
        experiment (SearchExperiment): Its space and the options of its controller.
        options (dict): ``search.strategy`` options.
        seed (int): Of everything random; PyTorch's generator begins anew.
    """
    torch.manual_seed(seed)
    opt = {**experiment.opt, 'manual_seed': seed, 'search': {**experiment.opt['search'], 'strategy': options}}
    return SearchParts(opt, experiment.supernet, counter=experiment.counter).strategy


def search_steps(experiment, strategy, reward, budget, num_samples, seed):
    """Search with frozen shared weights.

    Args:
        experiment (SearchExperiment): Reward set and its batch size.
        strategy (SearchStrategy): What learns.
        reward (Reward): Scores.
        budget (int): Genotypes to score, each on one batch of the reward set.
        num_samples (int): Of them, how many at a time.
        seed (int): Of the patches.

    Yields:
        tuple: The batch of a step, and what the strategy said of it (dict[str, float]).
    """
    batch_size = experiment.opt['search']['reward']['batch_size']
    for batch in experiment.reward_set.draws(batch_size, budget // num_samples, random.Random(seed),
                                             strategy.same_patches):
        scores = reward.score(strategy.ask(num_samples), [batch])
        yield batch, strategy.tell([score.genotype for score in scores], [score.reward for score in scores])


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
    strategy, reward = fresh_strategy(experiment, options, seed), experiment.reward
    gains, everything = [], experiment.counter.everything
    for batch, log in search_steps(experiment, strategy, reward, budget, num_samples, seed):
        reference, = reward.score([everything], [batch])
        gains.append(log['reward'] - reference.reward)
    candidates = strategy.candidates(num_candidates - 1)
    batches = list(experiment.reward_set.batches(experiment.opt['search']['reward']['batch_size']))
    scores = reward.score(candidates, batches)
    best = max(scores, key=lambda score: score.reward)
    return {'genotype': str(best.genotype), 'reward': best.reward, 'first_reward': scores[0].reward,
            'gains': gains, **experiment.counter.count(best.genotype).figures()}
