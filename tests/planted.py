"""Rewards whose best genotype is known, and how many genotypes a random search needs on them."""
import random

import numpy as np

GRID = 4000


class PlantedReward:
    """1 for the planted genotype, less for others; every bit weighs between 1 and 3 parts.

    With interactions, bits are paired, and a pair pays three parts more where both are right or both are wrong: from
    both wrong, no single flip improves.

    Args:
        space (SearchSpace): The genotype is planted here; of an even number of bits.
        seed (int): Decides target and weights.
        interactions (bool): Whether bits are paired.
    """

    def __init__(self, space, seed, interactions):
        rng = random.Random(f'planted {seed}')
        weights = np.array([rng.uniform(1, 3) for _ in range(space.num_bits)])
        self.target = np.array(space.sample(rng).bits)
        order = rng.sample(range(space.num_bits), space.num_bits)
        self.first, self.second = order[0::2], order[1::2]
        self.bonus = 3 * interactions
        total = weights.sum() + self.bonus * len(self.first)
        self.weights, self.bonus = weights / total, self.bonus / total

    def __call__(self, genotype):
        right = np.array(genotype.bits) == self.target
        return float(right @ self.weights + self.bonus * (right[self.first] == right[self.second]).sum())

    def random_samples_to(self, value):
        """float: Genotypes that a random search draws, in the mean, until one is worth ``value``; by convolution."""
        density = np.zeros(GRID + 2 * len(self.weights))
        density[0] = 1
        for first, second in zip(self.first, self.second, strict=True):
            one, two = self.weights[first], self.weights[second]
            outcomes = (self.bonus, one, two, one + two + self.bonus)
            density = sum(np.roll(density, round(GRID * outcome)) for outcome in outcomes) / 4
        return 1 / density[round(GRID * value):].sum()
