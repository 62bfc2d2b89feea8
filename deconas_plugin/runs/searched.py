"""A search on disk: its options and a checkpoint, ready to derive from."""
import hashlib
import math
from pathlib import Path

import torch
import yaml
from basicsr.archs import build_network

from deconas_plugin.archs.load import check_state
from deconas_plugin.errors import DeCoNASError
from deconas_plugin.files.paths import locate
from deconas_plugin.files.states import load_state, newest_weights
from deconas_plugin.files.user_code import import_user_code
from deconas_plugin.models.deconas_search_model import build_counter, build_reward, build_reward_set
from deconas_plugin.search.history import read_history
from deconas_plugin.search.strategy import build_strategy


class SearchExperiment:
    """A finished, stopped or running search.

    Args:
        folder (str | Path): Its experiment folder.
        iteration (int | None): Which checkpoint. Default: the newest.
        latency_table (str | None): File of tools/latency.py. Default: as in the options.

    Raises:
        DeCoNASError: The folder holds no search, or not this checkpoint.
        WeightsError: The checkpoint does not fit the options.
    """

    def __init__(self, folder, iteration=None, latency_table=None):
        self.folder = Path(folder)
        self.opt = self._options()
        if latency_table is not None:
            self.opt['search']['latency_table'] = latency_table
        self.iteration = self._latest() if iteration is None else iteration
        self.device = torch.device('cuda' if self.opt['num_gpu'] != 0 and torch.cuda.is_available() else 'cpu')
        self.supernet = build_network(self.opt['network_g'])
        self._load(self.supernet, 'net_g')
        self.supernet.to(self.device, memory_format=torch.channels_last).eval()
        self.controller = build_network({**self.opt['network_c'], 'space': self.supernet.space})
        self._load(self.controller, 'net_c')
        # So that no order in which a processor adds can tip what it draws.
        self.controller.double()
        self.counter = build_counter(self.opt, self.supernet)
        self.strategy = build_strategy(self.controller, self.opt['search']['strategy'], self.opt['manual_seed'],
                                       self.counter)
        last_iter = math.inf if self.iteration == 'latest' else self.iteration
        self.strategy.recall(*read_history(self.folder, self.supernet.space, last_iter))
        self.reward = build_reward(self.opt, self.supernet, self.counter)
        self.reward_set = build_reward_set(self.opt, self.device)

    @property
    def digest(self):
        """str: Tells the supernet's weights from others."""
        weights = self.folder / 'models' / f'net_g_{self.iteration}.pth'
        return hashlib.sha256(weights.read_bytes()).hexdigest()[:16]

    def _options(self):
        path = self.folder / 'options.yml'
        if not path.is_file():
            raise DeCoNASError(f'{self.folder}: expected the folder of a search (with options.yml), such as '
                               'experiments/search_DeCoNAS_x2')
        opt = yaml.safe_load(path.read_text(encoding='utf-8'))
        locate(opt)
        import_user_code(opt)
        return opt

    def _latest(self):
        newest = newest_weights(self.folder / 'models', 'net_c', self.opt['train']['total_iter'])
        if newest is None:
            raise DeCoNASError(f'{self.folder}: no checkpoint yet (models/net_c_*.pth)')
        name = newest.stem.removeprefix('net_c_')
        return int(name) if name.isdecimal() else name

    def _load(self, net, label):
        path = self.folder / 'models' / f'{label}_{self.iteration}.pth'
        if not path.is_file():
            raise DeCoNASError(f'{path}: no such checkpoint')
        state, _ = load_state(path, ('params', ))
        check_state(net, state, path)
        net.load_state_dict(state)
