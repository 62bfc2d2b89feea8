"""Search strategies: what asks for genotypes to be scored and learns from their rewards."""
import inspect
import random
from abc import ABC, abstractmethod

from mmengine.registry import Registry

from deconas_plugin.errors import OptionError

STRATEGIES = Registry('search strategy', scope='deconas')


class SearchStrategy(ABC):
    """Interface of a search strategy.

    The constructor takes any of ``controller`` (DeCoNASController), ``space`` (SearchSpace), ``counter``
    (ComplexityCounter) and ``seed`` (int), which the search supplies, and keywords of its own, which are its options.

    Attributes:
        same_patches (bool): Whether all genotypes must be scored on the same patches, because the strategy compares
            rewards of different steps: patches differ by far more dB than genotypes do.
        measures (tuple[str]): Costs that it trades against PSNR by itself, so that a penalty would count them twice.
    """
    same_patches = False
    measures = ()

    @abstractmethod
    def ask(self, num_samples):
        """list[Genotype]: Genotypes to be scored."""

    @abstractmethod
    def tell(self, genotypes, rewards):
        """Learn what genotypes earned.

        Args:
            genotypes (list[Genotype]): As asked for.
            rewards (list[float]): Their rewards, in the same order.

        Returns:
            dict[str, float]: Figures for log and history; ``reward``, the mean, is always one of them.
        """

    @abstractmethod
    def best_guesses(self):
        """list[Genotype]: All different ones that it has reason to believe in, best first; nothing is drawn."""

    @abstractmethod
    def bit_probabilities(self):
        """list[float]: For every bit, how likely it is set in what will be asked."""

    @abstractmethod
    def state_dict(self):
        """dict: All that :meth:`load_state_dict` needs to continue, but the controller's own weights."""

    @abstractmethod
    def load_state_dict(self, state):
        """Continue from :meth:`state_dict`."""

    def candidates(self, num_samples):
        """list[Genotype]: The best guess and ``num_samples`` others: further guesses, then what would be asked next."""
        best = self.best_guesses()[:num_samples + 1]
        return best + self.ask(num_samples + 1 - len(best))

    def draw(self):
        """Genotype: One for a weight step."""
        return self.ask(1)[0]

    def recall(self, genotypes, rewards):
        """Take over what an earlier run scored, for strategies whose memory is the history; others have nothing to do.

        Args:
            genotypes (list[Genotype]): In the order in which they were scored.
            rewards (list[float]): Their rewards.
        """
        return


def build_strategy(controller, options, seed=0, counter=None):
    """Build the strategy that the options name.

    Args:
        controller (DeCoNASController): Proposes genotypes, where the strategy uses one.
        options (dict): ``type`` and the keywords of the strategy.
        seed (int): For strategies that draw without the controller.
        counter (ComplexityCounter | None): For strategies that count costs.

    Returns:
        SearchStrategy: The strategy.

    Raises:
        OptionError: There is no such strategy or keyword.
    """
    options = dict(options)
    name = options.pop('type')
    if name not in STRATEGIES.module_dict:
        raise OptionError(f'search.strategy.type: expected one of {", ".join(STRATEGIES.module_dict)}, got {name!r}')
    strategy = STRATEGIES.module_dict[name]
    known = set(inspect.signature(strategy).parameters)
    supplied = {'controller': controller, 'space': controller.space, 'seed': seed, 'counter': counter}
    unknown = set(options) - (known - set(supplied))
    if unknown:
        raise OptionError(f'search.strategy: {name} has no option {sorted(unknown)[0]}')
    return strategy(**{key: value for key, value in supplied.items() if key in known}, **options)


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
