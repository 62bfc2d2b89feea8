"""From checked options to what BasicSR's functions expect: what its ``parse_options`` adds, without a second parse;
its seeds, and the clock of its parts."""
import json
import random
import time
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path

import torch
from basicsr.utils import set_random_seed
from basicsr.utils.dist_util import get_dist_info

from deconas_plugin.files.atomic import save_text
from deconas_plugin.files.experiment_folder import ExperimentFolder
from deconas_plugin.machine.device import device_of_run
from deconas_plugin.training.processes import from_first


def complete_options(opt, root, dist=False, auto_resume=False, debug=False):
    """Fill in what BasicSR's pipelines add to the options.

    Args:
        opt (dict): Checked options; left as they are.
        root (Path): Folder of ``experiments``.
        dist (bool): Several processes run together.
        auto_resume (bool): Continue from the newest training state.
        debug (bool): BasicSR's debug mode.

    Returns:
        dict: The options of a run.
    """
    opt = deepcopy(opt)
    opt['rank'], opt['world_size'] = get_dist_info()
    opt.update(dist=dist, auto_resume=auto_resume, is_train=True)
    if opt['num_gpu'] == 'auto':
        opt['num_gpu'] = torch.cuda.device_count()
    if debug and not opt['name'].startswith('debug'):
        opt['name'] = f'debug_{opt["name"]}'
    for phase, dataset in opt['datasets'].items():
        dataset.update(phase=phase.split('_')[0], scale=opt['scale'])
    if opt['datasets']['train'].get('cache') == 'device':
        opt['datasets']['train']['cache'] = 'cuda' if device_of_run(opt['num_gpu']).type == 'cuda' else 'disk'
    for section in (opt['path'], *opt['datasets'].values()):
        for key in section:
            if isinstance(section[key], str) and key.startswith(('dataroot_', 'pretrain_network', 'resume_state')):
                section[key] = str(Path(section[key]).expanduser())
    folder = ExperimentFolder.named(root, opt['name'])
    opt['root_path'] = str(root)
    opt['path'].update(
        experiments_root=str(folder.path),
        models=str(folder.models),
        training_states=str(folder.states),
        log=str(folder.path),
        visualization=str(folder.visualization))
    # BasicSR does this for every name that has "debug" in it.
    if debug:
        opt['logger'].update(use_tb_logger=False)
        if opt.get('val'):
            opt['val']['val_freq'] = 8
        opt['logger'].update(print_freq=1, save_checkpoint_freq=8)
    return opt


def seed_generators(opt, resumed=None):
    """Seed all generators; draw ``manual_seed`` where the options have none.

    Args:
        opt (dict): Options of a run; gets the seed.
        resumed (int | None): The seed that the run to be continued has drawn.
    """
    if opt.get('manual_seed') is None:
        opt['manual_seed'] = from_first(random.randint(1, 10000)) if resumed is None else resumed
    set_random_seed(opt['manual_seed'] + opt['rank'])
    # Networks begin equal and strategies draw the same genotypes in all processes; patches and the like differ.
    torch.default_generator.manual_seed(opt['manual_seed'])


class PartTimes:
    """Seconds spent in the parts of a run, kept in ``timing.json`` of its experiment folder.

    A part inside another counts for itself alone. A resumed run adds to what the file holds.

    Args:
        folder (str | Path): The experiment folder.
    """

    def __init__(self, folder):
        self.path = ExperimentFolder(folder).timing
        self.seconds = json.loads(self.path.read_text(encoding='utf-8')) if self.path.is_file() else {}
        self._inside = []

    @contextmanager
    def measure(self, part):
        """Count the time of a block for a part (str)."""
        started = time.monotonic()
        self._inside.append(0.0)
        try:
            yield
        finally:
            spent = time.monotonic() - started
            own = spent - self._inside.pop()
            self.seconds[part] = self.seconds.get(part, 0.0) + own
            if self._inside:
                self._inside[-1] += spent

    def save(self):
        """Write the file."""
        save_text(json.dumps({part: round(seconds, 2) for part, seconds in self.seconds.items()}), self.path)
