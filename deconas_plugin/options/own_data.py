"""An option file for data of one's own: one of the plugin's, with other data in it."""
from math import ceil
from pathlib import Path

from deconas_plugin.errors import OptionError
from deconas_plugin.files.option_files import save_options
from deconas_plugin.files.paths import option_file, option_file_schema, shipped_option_files
from deconas_plugin.options.check import check_options
from deconas_plugin.options.read import load_options
from deconas_plugin.options.schema import nearest

# What each task needs, and how large a part of the images it gets where nobody says otherwise.
SPLITS = {'search': {'train': 80, 'reward': 10, 'val': 10}, 'train': {'train': 90, 'val': 10}}
_STEPS_OF_EPOCH = 100  # at least: few images make short epochs, and every epoch starts anew
_OF_OTHER_DATA = ('keys', 'meta_info_file', 'filename_tmpl', 'cache_dir')


class OwnOptions:
    """The option file that is to be written.

    Args:
        path (str | Path): The file; its name without ending becomes that of the experiment.
        like (str): An option file of a search or a training, or the name of one that comes with the plugin.
        parts (list[str] | None): What --split says. Default: a share for each purpose.

    Attributes:
        task (str): 'search' or 'train'.
        parts (list[str]): See :func:`deconas_plugin.data.pairs.select_splits`.

    Raises:
        OptionError: There is no such option file, or a purpose has no split.
    """

    def __init__(self, path, like, parts=None):
        self.path, self.like = Path(path), option_file(like)
        if not Path(self.like).is_file():
            known = [name for name in shipped_option_files() if name.startswith(('search', 'train'))]
            raise OptionError(f'--like: no option file {like}{nearest(like, known)}')
        self.opt = load_options(self.like)
        if 'train' not in self.opt:
            raise OptionError(f'--like: expected options of a search or a training, but {like} has no section train')
        self.task = 'search' if 'search' in self.opt else 'train'
        wanted = SPLITS[self.task]
        self.parts = parts or [f'{split}={percent}%' for split, percent in wanted.items()]
        missing = [split for split in wanted if split not in [part.partition('=')[0] for part in self.parts]]
        if missing:
            raise OptionError(f'--split: no part for {missing[0]}; a {self.task} needs for example '
                              f'--split {" ".join(f"{split}={percent}%" for split, percent in wanted.items())}')

    def write(self, name, scale, prepared):
        """Write the file and check it.

        Args:
            name (str): Of the data set.
            scale (int): 2, 3 or 4.
            prepared (dict[str, Prepared]): The LMDBs of every split.

        Raises:
            DeCoNASError: The options do not fit the data, such as patches larger than an image; or the file cannot be
                written.
        """
        opt, before = self.opt, self.opt.get('scale')
        opt.update(name=self.path.stem, scale=scale)
        opt.pop('sample_photos', None)
        opt['network_g']['upscale'] = scale
        for metric in ((opt.get('val') or {}).get('metrics') or {}).values():
            metric['crop_border'] = scale
        val = next((dataset for phase, dataset in opt['datasets'].items() if phase.startswith('val')),
                   {'type': 'PairedImageDataset'})
        opt['datasets'] = {'train': opt['datasets']['train'], 'val': val}
        sections = {'train': opt['datasets']['train'], 'val': val}
        if self.task == 'search':
            sections['reward'] = opt['search']['reward']['dataset']
            opt['derive'].pop('test_datasets', None)  # of other data; without them the validation's are taken
        for split, section in sections.items():
            for key in _OF_OTHER_DATA:
                section.pop(key, None)
            section.update(name=f'{name}_{split}', dataroot_gt=str(prepared[split].hr),
                           dataroot_lq=str(prepared[split].lr), io_backend={'type': 'lmdb'})
            for key in ('gt_size', 'final_gt_size'):  # the same LR patches
                if section.get(key):
                    section[key] = section[key] // before * scale
        train = sections['train']
        count = len(Path(train['dataroot_gt'], 'meta_info.txt').read_text(encoding='utf-8').splitlines())
        enough = ceil(_STEPS_OF_EPOCH * train['batch_size_per_gpu'] / count)
        train['dataset_enlarge_ratio'] = max(enough, train.get('dataset_enlarge_ratio') or enough)
        check_options(opt, self.path, self.task)
        save_options(opt, self.path, f'yaml-language-server: $schema={option_file_schema().resolve().as_uri()}\n'
                                     f'{Path(self.like).name} for the images of {name}')
