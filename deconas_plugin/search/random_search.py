"""Random search: the baseline that every other strategy has to beat."""
import random

from deconas_plugin.search.strategy import STRATEGIES, SearchStrategy


@STRATEGIES.register_module(name='random')
class RandomSearch(SearchStrategy):
    """Uniform samples; the best that were scored are what the derivation chooses from.

    Args:
        space (SearchSpace): What to draw from.
        seed (int): Of the draws. Default: 0.
    """

    same_patches = True

    def __init__(self, space, seed=0):
        self.space = space
        self.rng = random.Random(seed)
        self.scored = {}

    def ask(self, num_samples):
        return [self.space.sample(self.rng) for _ in range(num_samples)]

    def tell(self, genotypes, rewards):
        self.recall(genotypes, rewards)
        return {'reward': sum(rewards) / len(rewards)}

    def recall(self, genotypes, rewards):
        self.scored.update(zip(genotypes, rewards, strict=True))

    def best_guesses(self):
        """list[Genotype]: All that were scored, best first."""
        return sorted(self.scored, key=self.scored.get, reverse=True)

    def bit_probabilities(self):
        return self.space.uniform_probabilities

    def state_dict(self):
        return {
            'scored': [(list(genotype.bits), reward) for genotype, reward in self.scored.items()],
            'rng': self.rng.getstate()
        }

    def load_state_dict(self, state):
        self.scored = {self.space.genotype(bits): reward for bits, reward in state['scored']}
        self.rng.setstate(state['rng'])
