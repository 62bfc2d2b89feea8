"""A search for a front: quality and costs at once, without a price for one in terms of the other.

NSGA-II (Deb et al., 2002), with the mating and the survival of pymoo (https://pymoo.org).
"""
import random
from types import SimpleNamespace

import numpy as np

from deconas_plugin.errors import OptionError
from deconas_plugin.search.strategy import STRATEGIES, SearchStrategy

SEED_BITS = 31


@STRATEGIES.register_module(name='nsga2')
class NSGA2(SearchStrategy):
    """A population that spreads along the front of PSNR and costs; it needs pymoo, and no penalty.

    Args:
        space (SearchSpace): What to draw from.
        counter (ComplexityCounter): Counts the costs.
        measures (list[str]): One or two of params, mult_adds and latency, which PSNR is traded against. Default:
            mult_adds.
        population (int): Genotypes that live at a time. Default: 48.
        seed (int): Of all draws. Default: 0.

    Raises:
        OptionError: pymoo is not installed, a measure is not counted, or the population is smaller than 4.
    """

    same_patches = True

    def __init__(self, space, counter, measures=('mult_adds', ), population=48, seed=0):
        self.pymoo = _import_pymoo()
        known = counter.count(counter.nothing).figures()
        if not isinstance(measures, (list, tuple)) or not 1 <= len(set(measures)) == len(measures) <= 2 or \
                not set(measures) <= set(known):
            raise OptionError(f'search.strategy.measures: expected one or two of {", ".join(known)} (latency with '
                              f'search.latency_table), got {measures!r}')
        if population < 4:
            raise OptionError(f'search.strategy.population: expected at least 4, got {population}')
        self.space = space
        self.counter = counter
        self.measures = tuple(measures)
        self.size = population
        self.rng = random.Random(seed)
        self.population = {}  # reward by genotype; the front first, what has most room around it foremost

    def ask(self, num_samples):
        """list[Genotype]: Children of the population; until it is complete, genotypes of all sizes."""
        children = self._children(num_samples) if len(self.population) == self.size else []
        return children + [self._first() for _ in range(num_samples - len(children))]

    def tell(self, genotypes, rewards):
        ranks = self._survive(genotypes, rewards)
        return {'reward': sum(rewards) / len(rewards), 'front': float((ranks == 0).sum())}

    def recall(self, genotypes, rewards):
        for start in range(0, len(genotypes), self.size):
            self._survive(genotypes[start:start + self.size], rewards[start:start + self.size])

    def draw(self):
        """Genotype: A random member of the population."""
        return self.rng.choice([*self.population]) if self.population else self._first()

    def best_guesses(self):
        """list[Genotype]: The one with the highest PSNR, then the front, what has most room around it first, then the
        rest of the population in the same way."""
        best = sorted(self.population, key=self.population.get, reverse=True)[:1]
        return list(dict.fromkeys([*best, *self.population]))

    def bit_probabilities(self):
        if not self.population:
            return self.space.uniform_probabilities
        return np.mean([genotype.bits for genotype in self.population], axis=0).tolist()

    def state_dict(self):
        return {'population': [(list(genotype.bits), reward) for genotype, reward in self.population.items()],
                'rng': self.rng.getstate()}

    def load_state_dict(self, state):
        self.population = {self.space.genotype(bits): reward for bits, reward in state['population']}
        self.rng.setstate(state['rng'])

    def _first(self):
        # Uniform bits would give hardly any small or large network, and the front has ends.
        density = self.rng.random()
        return self.space.genotype(int(self.rng.random() < density) for _ in range(self.space.num_bits))

    def _children(self, num_samples):
        """list[Genotype]: Other bits than each other's and the population's; fewer where there are no more."""
        parents = self._individuals(self.population)
        algorithm = self.pymoo.NSGA2(pop_size=self.size, sampling=parents, crossover=self.pymoo.UniformCrossover(),
                                     mutation=self.pymoo.BitflipMutation(), n_offsprings=num_samples)
        algorithm.setup(self._problem(), seed=self.rng.getrandbits(SEED_BITS))
        algorithm.tell(infills=algorithm.ask())
        children = algorithm.ask()
        return [] if children is None else [self.space.genotype(map(int, bits)) for bits in children.get('X')]

    def _survive(self, genotypes, rewards):
        """ndarray: The front, counted from 0, of every member that survives; the population becomes these."""
        merged = {**self.population, **dict(zip(genotypes, rewards, strict=True))}
        individuals = self._individuals(merged)
        draws = np.random.default_rng(self.rng.getrandbits(SEED_BITS))
        survivors = self.pymoo.RankAndCrowding().do(self._problem(), individuals, n_survive=self.size,
                                                    random_state=draws)
        ranks, crowding = survivors.get('rank'), survivors.get('crowding')
        order = np.lexsort((-crowding.astype(float), ranks))
        members = [self.space.genotype(map(int, bits)) for bits in survivors.get('X')[order]]
        self.population = {genotype: merged[genotype] for genotype in members}
        return ranks

    def _individuals(self, rewards):
        """Population: Of pymoo, with all objectives to be minimised."""
        costs = [self.counter.count(genotype).figures() for genotype in rewards]
        objectives = [[-reward, *(cost[name] for name in self.measures)]
                      for reward, cost in zip(rewards.values(), costs, strict=True)]
        bits = np.array([genotype.bits for genotype in rewards], dtype=bool)
        return self.pymoo.Population.new(X=bits, F=np.array(objectives, dtype=float))

    def _problem(self):
        return self.pymoo.Problem(n_var=self.space.num_bits, n_obj=1 + len(self.measures), xl=0, xu=1, vtype=bool)


def _import_pymoo():
    """SimpleNamespace: What is used of pymoo, which is imported only where it is."""
    try:
        from pymoo.algorithms.moo.nsga2 import NSGA2 as Algorithm
        from pymoo.algorithms.moo.nsga2 import RankAndCrowding
        from pymoo.core.population import Population
        from pymoo.core.problem import Problem
        from pymoo.operators.crossover.ux import UniformCrossover
        from pymoo.operators.mutation.bitflip import BitflipMutation
    except ImportError as error:
        raise OptionError(f'search.strategy.type: nsga2 needs pymoo, which cannot be imported ({error}); pip install '
                          'pymoo, or choose another strategy') from error
    return SimpleNamespace(NSGA2=Algorithm, RankAndCrowding=RankAndCrowding, Population=Population, Problem=Problem,
                           UniformCrossover=UniformCrossover, BitflipMutation=BitflipMutation)
