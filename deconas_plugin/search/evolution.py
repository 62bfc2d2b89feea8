"""Regularised evolution (Real et al., 2019, https://arxiv.org/abs/1802.01548) on genotypes."""
import random
from collections import deque

from deconas_plugin.errors import OptionError
from deconas_plugin.search.strategy import STRATEGIES, SearchStrategy


@STRATEGIES.register_module(name='evolution')
class Evolution(SearchStrategy):
    """A population of the last scored genotypes; the best of a few drawn ones become parents, the oldest die.

    Args:
        space (SearchSpace): What to draw the first population from.
        population (int): Genotypes that live at a time. Default: 50.
        tournament (int): Genotypes drawn for every parent, of which the best is taken. Default: 10.
        crossover (float): Probability that a child takes each bit from either of two parents. Default: 0.5.
        mutations (float): Expected changes of a child, at least one: half of them flip a bit, half move a connection
            within its layer. Default: 1.
        seed (int | str): Of all draws. Default: 0.

    Raises:
        OptionError: A size is below 1, or the probability is none.
    """

    same_patches = True

    def __init__(self, space, population=50, tournament=10, crossover=0.5, mutations=1.0, seed=0):
        if not 1 <= tournament <= population:
            raise OptionError('search.strategy.tournament: expected 1 to search.strategy.population '
                              f'({population}), got {tournament}')
        if not 0 <= crossover <= 1:
            raise OptionError(f'search.strategy.crossover: expected a probability, got {crossover!r}')
        self.space = space
        self.tournament = tournament
        self.crossover = crossover
        self.mutations = mutations
        self.rng = random.Random(seed)
        self.population = deque(maxlen=population)
        layers = {}
        for decision in space.decisions:
            if decision.kind == 'operation':
                layers.setdefault((decision.block, decision.layer), []).extend(
                    range(decision.place.start, decision.place.stop))
        self.layers = [*layers.values()]

    def ask(self, num_samples):
        """list[Genotype]: Random ones until the population is complete, then children."""
        return [self._child() if len(self.population) == self.population.maxlen else self.space.sample(self.rng)
                for _ in range(num_samples)]

    def tell(self, genotypes, rewards):
        self.recall(genotypes, rewards)
        return {
            'reward': sum(rewards) / len(rewards),
            'population_reward': sum(reward for _, reward in self.population) / len(self.population)
        }

    def recall(self, genotypes, rewards):
        self.population.extend(zip(genotypes, rewards, strict=True))

    def draw(self):
        """Genotype: A random member of the population."""
        return self.rng.choice(self.population)[0] if self.population else self.space.sample(self.rng)

    def best_guesses(self):
        """list[Genotype]: The population, best first."""
        ranked = sorted(self.population, key=lambda member: member[1], reverse=True)
        return list(dict.fromkeys(genotype for genotype, _ in ranked))

    def bit_probabilities(self):
        if not self.population:
            return self.space.uniform_probabilities
        rows = [genotype.bits for genotype, _ in self.population]
        return [sum(column) / len(rows) for column in zip(*rows, strict=True)]

    def _child(self):
        bits = self._parent()
        if self.rng.random() < self.crossover:
            bits = [self.rng.choice(pair) for pair in zip(bits, self._parent(), strict=True)]
        changed = {bit for bit in range(len(bits)) if self.rng.random() < self.mutations / len(bits)}
        for bit in changed or {self.rng.randrange(len(bits))}:
            if self.rng.random() < 0.5:
                bits[bit] ^= 1
            else:
                self._move(bits)
        return self.space.genotype(bits)

    def _move(self, bits):
        """Let a layer read something else, or by another operation: flips alone would make sparse networks denser."""
        layers = [places for places in self.layers if any(bits[place] for place in places)]
        if layers:
            places = self.rng.choice(layers)
            bits[self.rng.choice([place for place in places if bits[place]])] = 0
            bits[self.rng.choice(places)] = 1

    def _parent(self):
        """list[int]: The bits of the best of a tournament; for blocks and layers that it does not have random ones, set
        as often as its connections are, so that a child that gets them is connected as densely."""
        drawn = self.rng.sample(range(len(self.population)), self.tournament)
        parent = max((self.population[i] for i in drawn), key=lambda member: member[1])[0]
        own = parent.connections.bits
        density = sum(own) / len(own)
        return [bit if live else int(self.rng.random() < density)
                for bit, live in zip(parent.bits, parent.live, strict=True)]

    def state_dict(self):
        return {
            'population': [(list(genotype.bits), reward) for genotype, reward in self.population],
            'rng': self.rng.getstate()
        }

    def load_state_dict(self, state):
        self.population.clear()
        self.population.extend((self.space.genotype(bits), reward) for bits, reward in state['population'])
        self.rng.setstate(state['rng'])
