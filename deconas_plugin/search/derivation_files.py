"""What a derivation leaves behind: genotype, weights, and options that train and test the network as they stand."""
import inspect
import json
import time

from basicsr.utils.misc import get_time_str, mkdir_and_rename

from deconas_plugin.archs.deconas_arch import DeCoNASNet
from deconas_plugin.utils.atomic import save_tensors, save_text
from deconas_plugin.utils.options import save_options
from deconas_plugin.utils.paths import shown


class DerivationFiles:
    """Writes the files of one derivation; an older folder of the same name is kept beside, renamed as BasicSR does.

    Args:
        experiment (SearchExperiment): The search.
        name (str): Name of the folder inside the experiment's.

    Attributes:
        genotype, weights, train_options, test_options (Path): The files.
        front (Path): Folder of the genotypes of the Pareto front, one file each, cheapest first.
        halving (Path): What candidates earned in every rung of a halving, where there was one.
    """

    def __init__(self, experiment, name='derived'):
        self.experiment = experiment
        self.name = f'{experiment.opt["name"]}_{name}'
        folder = experiment.folder / name
        self.genotype = folder / 'genotype.yml'
        self.front = folder / 'front'
        self.halving = folder / 'halving.jsonl'
        self.weights = folder / 'net_g_inherited.pth'
        self.train_options = folder / f'train_{self.name}.yml'
        self.test_options = folder / f'test_{self.name}.yml'

    def write(self, best, front, provenance, state=None, rungs=()):
        """Write all files.

        Args:
            best (Score): What is derived.
            front (list[Score]): The Pareto front, cheapest first.
            provenance (dict): How they came about, for ``genotype.yml``.
            state (dict[str, Tensor] | None): Weights of the best. Default: its share of the supernet's.
            rungs (list[Rung]): Of the halving that chose it, where there was one.
        """
        experiment = self.experiment
        _archive(self.genotype.parent)
        self.front.mkdir()
        self._write_genotype(best, provenance, self.genotype)
        for number, score in enumerate(front, 1):
            self._write_genotype(score, provenance, self.front / f'genotype_{number}.yml')
        state = experiment.supernet.derive(best.genotype).cpu().state_dict() if state is None else state
        save_tensors({'params': state}, self.weights)
        if rungs:
            save_text(''.join(json.dumps(line) + '\n' for line in self._halving_lines(rungs)), self.halving)
        save_options(self._train(best.genotype), self.train_options, 'Trains the derived network')
        save_options(self._test(best.genotype), self.test_options,
                     'Tests the derived network; model_type: SRModel, of BasicSR itself, works too')

    def _halving_lines(self, rungs):
        """Yield a dict for every candidate of every rung, as the history of the search has them."""
        for number, rung in enumerate(rungs, 1):
            for place, score in enumerate(rung.scores):
                yield {'rung': number, 'steps': rung.steps, 'genotype': str(score.genotype), 'psnr': score.psnr,
                       'penalties': score.penalties, 'reward': score.reward, 'kept': place < rung.kept,
                       **self.experiment.counter.count(score.genotype).figures()}

    def _write_genotype(self, score, provenance, path):
        save_options(
            {
                'genotype': score.genotype.to_dict(),
                'connections': score.genotype.describe(),
                'result': {'psnr': score.psnr, 'reward': score.reward, 'penalties': score.penalties,
                           **self.experiment.counter.count(score.genotype).figures()},
                'provenance': provenance,
            }, path, 'Found by DeCoNAS. psnr and reward: dB on the reward set; mult_adds: for 1280x720 output; '
            'latency: ms')

    def _train(self, genotype):
        opt = self.experiment.opt
        inherit = opt['derive'].get('inherit_weights', True)
        return {
            **self._common('DeCoNASModel', genotype),
            'datasets': {phase: _without_filled_in(dataset) for phase, dataset in opt['datasets'].items()},
            'path': {'pretrain_network_g': shown(self.weights) if inherit else None, 'strict_load_g': True,
                     'resume_state': None},
            'train': opt['derive']['train'],
            'val': opt.get('val'),
            'logger': opt['logger'],
        }

    def _test(self, genotype):
        opt = self.experiment.opt
        datasets = opt['derive'].get('test_datasets') or {
            phase: dataset for phase, dataset in opt['datasets'].items() if phase.startswith('val')}
        datasets = {f'test_{i}': _without_filled_in(dataset) for i, dataset in enumerate(datasets.values(), 1)}
        trained = self.experiment.folder.parent / self.name / 'models' / 'net_g_latest.pth'
        ema = opt['derive']['train'].get('ema_decay', 0) > 0
        val = {key: value for key, value in (opt.get('val') or {}).items() if key not in ('val_freq', 'pbar')}
        return {
            **self._common('DeCoNASModel', genotype),
            'datasets': datasets,
            'path': {'pretrain_network_g': shown(trained), 'param_key_g': 'params_ema' if ema else 'params',
                     'strict_load_g': True},
            'val': {**val, 'save_img': True, 'suffix': None},
        }

    def _common(self, model_type, genotype):
        opt = self.experiment.opt
        plugins = {'plugins': opt['plugins']} if opt.get('plugins') else {}
        return dict(**plugins, name=self.name, model_type=model_type, scale=opt['scale'], num_gpu='auto',
                    manual_seed=opt['manual_seed'], network_g=self._network(genotype))

    def _network(self, genotype):
        defaults = inspect.signature(DeCoNASNet).parameters
        named = ('genotype', 'num_feat', 'num_block', 'num_layer', 'upscale')
        options = self.experiment.supernet.derived_options(genotype)
        given = {key: value for key, value in options.items() if key in named or value != defaults[key].default}
        return {'type': 'DeCoNASNet', **given, 'genotype': str(options['genotype'])}


def _without_filled_in(dataset):
    # BasicSR's parser adds these to every dataset.
    return {key: value for key, value in dataset.items() if key not in ('phase', 'scale')}


def _archive(folder):
    """Make a folder; one that is there is renamed as BasicSR does, whose names are the same for a whole second."""
    while folder.exists() and folder.with_name(f'{folder.name}_archived_{get_time_str()}').exists():
        time.sleep(0.1)
    mkdir_and_rename(str(folder))
