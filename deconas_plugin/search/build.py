"""What a search is made of, built from its options: the only place where options become controller, strategy and
rewards."""
from functools import cached_property

from basicsr.utils.registry import ARCH_REGISTRY

from deconas_plugin.cost.count import ComplexityCounter
from deconas_plugin.cost.latency import LatencyTable
from deconas_plugin.search.penalty import Penalty
from deconas_plugin.search.reward import Reward, RewardSet
from deconas_plugin.search.strategy import build_strategy


class SearchParts:
    """The parts of a search. Each is built when it is asked for first, so that only what it needs has to be there.

    Args:
        opt (dict): Options of a search, with defaults.
        supernet (DeCoNASSuperNet): What is searched; only rewards need its weights.
        device (torch.device | str): Where patches are scored.
        counter (ComplexityCounter | None): Counts costs. Default: by the supernet, with the table of the options.

    Raises:
        OptionError: By every part: it does not take its options.
    """

    def __init__(self, opt, supernet, device='cpu', counter=None):
        self.opt, self.supernet, self.device = opt, supernet, device
        if counter is not None:
            self.counter = counter

    @cached_property
    def counter(self):
        """ComplexityCounter: Of the networks of the space; with latencies where the search has a table."""
        counter = ComplexityCounter.of(self.supernet)
        path = self.opt['search'].get('latency_table')
        if path is not None:
            counter.latency_table = LatencyTable.load(path, counter)
        return counter

    @cached_property
    def controller(self):
        """Module: Untrained; its weights come from PyTorch's generator. It stays on the CPU: tiny and sequential, it is
        faster there than on a GPU, and its samples are the same everywhere."""
        options = dict(self.opt['network_c'])
        return ARCH_REGISTRY.get(options.pop('type'))(space=self.supernet.space, **options)

    @cached_property
    def strategy(self):
        """SearchStrategy: One that has learned nothing."""
        seed = self.opt.get('manual_seed') or 0  # checks have none yet
        return build_strategy(self.controller, self.opt['search']['strategy'], seed, self.counter)

    @cached_property
    def penalty(self):
        """Penalty: What complexity costs."""
        return Penalty(self.counter, self.opt['search']['penalty'])

    @cached_property
    def reward(self):
        """Reward: Scores genotypes with the weights of the supernet."""
        reward_opt = self.opt['search']['reward']
        return Reward(self.supernet, self.penalty, crop_border=self.opt['scale'],
                      test_y_channel=reward_opt['test_y_channel'],
                      precision=reward_opt['precision'])

    @cached_property
    def reward_set(self):
        """RewardSet: Patches of the held-out images, cut from the files."""
        reward_opt = self.opt['search']['reward']
        dataset_opt = {**reward_opt['dataset'], 'phase': 'train', 'scale': self.opt['scale']}
        return RewardSet(dataset_opt, reward_opt['num_patches'], self.device, self.opt['manual_seed'])
