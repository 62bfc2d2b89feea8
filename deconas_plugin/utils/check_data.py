"""Checks that the data an option file names is there, pairs up, and is not used for two purposes."""
import re
from pathlib import Path

from deconas_plugin.data.key_selection import image_name
from deconas_plugin.data.pairs import check_pair, list_pairs
from deconas_plugin.data.patch_options import PatchOptions
from deconas_plugin.errors import DataError, DeCoNASError, OptionError
from deconas_plugin.utils.paths import tool_command

PAIRED = ('DeCoNASPatchDataset', 'PairedImageDataset')


def check_data(opt, task):
    """Check all datasets of an option file.

    Args:
        opt (dict): Options whose sections and types have been checked.
        task (str): 'search', 'train' or 'test'.

    Raises:
        DataError: Data is missing, empty, or does not pair up; the message gives the command that prepares it.
        OptionError: One image serves two purposes.
    """
    datasets = {f'datasets.{phase}': dataset for phase, dataset in opt['datasets'].items()}
    if task == 'search':
        datasets['search.reward.dataset'] = opt['search']['reward']['dataset']
    images = {name: _check_dataset(name, dataset, opt['scale']) for name, dataset in datasets.items()}
    learnt_from = [name for name in datasets if name in ('datasets.train', 'search.reward.dataset')]
    for first in learnt_from:
        for second in datasets:
            # Validation sets may overlap each other; what is learnt from may overlap nothing.
            if first != second and (both := images[first] & images[second]):
                folder, image = min(both)
                raise OptionError(f'{second}: expected other images than {first}, but both read {image} of {folder}; '
                                  'choose different ones with keys, for example keys: 0001-0750 and keys: 0751-0800')


def _check_dataset(name, dataset, scale):
    """set[tuple[str, str]]: Folder and name of every image of a dataset."""
    for key in ('dataroot_gt', 'dataroot_lq'):
        if dataset.get(key) is not None and not Path(dataset[key]).expanduser().exists():
            raise DataError(f'{name}.{key}: {dataset[key]} does not exist; prepare it: {_command(dataset, scale)}')
    if dataset['type'] not in PAIRED:
        return set()
    phase = 'train' if name in ('datasets.train', 'search.reward.dataset') else 'val'
    # Sizes and pairing do not depend on the colours that PairedImageDataset can convert to.
    options = PatchOptions.from_opt({**dataset, 'phase': phase, 'scale': scale, 'color': 'rgb'})
    try:
        lq, gt, _, paths = list_pairs(options)
        if options.backend == 'lmdb':
            for lq_size, gt_size, path in zip(lq.sizes, gt.sizes, paths, strict=True):
                check_pair(lq_size, gt_size, path, options)
    except DeCoNASError as error:
        raise type(error)(f'{name}: {error}') from error
    root = str(Path(dataset['dataroot_gt']).expanduser().resolve())
    return {(root, image_name(Path(path).stem)) for path in paths}


def _command(dataset, scale):
    """str: The command that prepares a dataset of BasicSR's usual layout."""
    root, prepare = Path(dataset['dataroot_gt']), tool_command('prepare_data')
    if 'sample_photos' in root.parts:
        return f'{prepare} --sample-photos --scale {scale}'
    if root.suffix == '.lmdb':
        name = re.split(r'_train|_reward|_val', root.stem)[0]
        return f'{prepare} --hr FOLDER_OF_HR_IMAGES --scale {scale} --name {name} --out {root.parent}'
    return f'{prepare} --test-set --hr FOLDER_OF_{root.parent.name.upper()} --scale {scale} --name {root.parent.name}'
