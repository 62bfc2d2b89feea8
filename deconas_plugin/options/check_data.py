"""Checks datasets: what their sections say, and that the data is there, pairs up, and is not used for two purposes."""
import itertools
import re
from pathlib import Path

import torch
from basicsr.utils.registry import DATASET_REGISTRY

from deconas_plugin.data.images.reader import read_size
from deconas_plugin.data.pairs import check_pair, image_name, list_pairs
from deconas_plugin.data.patch_options import PatchOptions
from deconas_plugin.errors import DataError, DeCoNASError, OptionError
from deconas_plugin.files.paths import tool_command
from deconas_plugin.machine.parallel import available_cores
from deconas_plugin.options.check_keys import check_section, check_type
from deconas_plugin.options.defaults import DESCRIBED
from deconas_plugin.options.schema import DATASET
from deconas_plugin.options.trial import try_dataset, try_metrics

PAIRED = ('DeCoNASPatchDataset', 'PairedImageDataset')
# Files of a training set that are opened to see their sizes: about a second.
MOST_FILES = 5000
# Of an epoch: their order is drawn at once.
MOST_SAMPLES = 10**8
# Loading processes of a GPU: more would take minutes to start, and wait for each other.
MOST_WORKERS, WORKERS_PER_CORE = 32, 8


def check_dataset(dataset, name):
    """Check what the section of a dataset says, before any file is opened.

    Args:
        dataset (dict): The section.
        name (str): Its place, for messages.

    Raises:
        OptionError: The type, a key or a value is none that it may have.
    """
    if not isinstance(dataset, dict):
        raise OptionError(f'{name}: expected a section with keys, got {dataset!r}')
    check_type(dataset.get('type'), DATASET_REGISTRY, f'{name}.type')
    if dataset['type'] == 'SingleImageDataset':
        check_section(dataset, {key: value for key, value in DATASET.items() if key != 'dataroot_gt'},
                       f'{name}.')
    elif dataset['type'] in DESCRIBED:
        check_section(dataset, DATASET, f'{name}.')
    if dataset['type'] == 'PairedImageDataset':
        for key in ('final_gt_size', 'use_channel_shuffle'):
            if dataset.get(key):
                raise OptionError(f'{name}.{key}: PairedImageDataset has no such option; set type: DeCoNASPatchDataset')


def check_datasets(opt, task):
    """Check what the datasets of an option file ask for, before any file is opened.

    Args:
        opt (dict): Options whose sections, keys and types have been checked, with defaults.
        task (str): 'search', 'train' or 'test'.

    Raises:
        OptionError: Something cannot be served.
    """
    if task == 'test' and not opt['datasets']:
        raise OptionError('datasets: expected at least one to test on, test_1 for example, got {}')
    scale = opt['scale']
    for name, dataset in datasets_of(opt, task).items():
        if (dataset.get('gt_size') or scale) % scale:
            raise OptionError(f'{name}.gt_size: expected a multiple of the scale {scale}, got {dataset["gt_size"]}')
    _check_set_names(opt['datasets'])
    for phase, dataset in opt['datasets'].items():
        _check_loader(dataset, f'datasets.{phase}', phase == 'train', opt['num_gpu'])
    if task == 'search':
        _check_reward_dataset(opt['search']['reward']['dataset'])


def datasets_of(opt, task):
    """dict[str, dict]: All datasets of a search, training, test or league (the task), by their places."""
    datasets = {f'datasets.{phase}': dataset for phase, dataset in opt['datasets'].items()}
    if task == 'search':
        datasets['search.reward.dataset'] = opt['search']['reward']['dataset']
    return datasets


def _check_set_names(datasets):
    seen = {}
    for phase, dataset in datasets.items():
        if phase == 'train':
            continue
        if (name := dataset.get('name')) in seen:
            raise OptionError(f'datasets.{phase}.name: expected another name than that of datasets.{seen[name]}, '
                              f'got {name!r} for both; their results could not be told apart')
        seen[name] = phase


def _check_loader(dataset, key, trains, num_gpu):
    prefetch, workers = dataset.get('prefetch_mode'), dataset.get('num_worker_per_gpu')
    most = max(MOST_WORKERS, WORKERS_PER_CORE * available_cores())
    if trains and workers > most:
        raise OptionError(f'{key}.num_worker_per_gpu: expected at most {most} on the {available_cores()} cores here, '
                          f'got {workers}')
    if prefetch == 'cuda':
        if num_gpu == 0 or not torch.cuda.is_available():
            raise OptionError(f'{key}.prefetch_mode: cuda needs a GPU; leave it out')
        if dataset.get('pin_memory') is not True:
            raise OptionError(f'{key}.prefetch_mode: cuda needs pin_memory: true beside it')
    if dataset.get('cache') == 'cuda' and (num_gpu == 0 or not torch.cuda.is_available()):
        raise OptionError(f'{key}.cache: cuda needs a GPU; set cache: disk')
    if dataset.get('persistent_workers') and not (trains and workers):
        why = 'expected num_worker_per_gpu of at least 1 with it' if trains else 'only training data have workers'
        raise OptionError(f'{key}.persistent_workers: {why}; leave it out')


def _check_reward_dataset(dataset):
    if dataset['type'] != 'DeCoNASPatchDataset':
        raise OptionError('search.reward.dataset.type: expected DeCoNASPatchDataset, which cuts the same patches '
                          f'every time, got {dataset["type"]!r}')
    if dataset.get('cache') == 'cuda':
        raise OptionError('search.reward.dataset.cache: expected disk, memory or none, got cuda; the patches are '
                          'cut once and kept anyway')


def check_data(opt, task):
    """Check all datasets of an option file, and the metrics on images as small as the smallest of them.

    Args:
        opt (dict): Options whose sections and types have been checked.
        task (str): 'search', 'train' or 'test'.

    Raises:
        DataError: Data is missing, empty, or does not pair up; the message gives the command that prepares it.
        OptionError: One image serves two purposes, or a metric gives no number for such images.
    """
    datasets = datasets_of(opt, task)
    images = {name: _images(name, dataset, opt) for name, dataset in datasets.items()}
    learnt_from = [name for name in datasets if name in ('datasets.train', 'search.reward.dataset')]
    for first in learnt_from:
        for second in datasets:
            # Validation sets may overlap each other; what is learnt from may overlap nothing.
            if first != second and (both := images[first] & images[second]):
                folder, image = min(both)
                raise OptionError(f'{second}: expected other images than {first}, but both read {image} of {folder}; '
                                  'choose different ones with keys, for example keys: 0001-0750 and keys: 0751-0800')
    if metrics := (opt.get('val') or {}).get('metrics'):
        try_metrics(metrics, _smallest_side(opt))


def _images(name, dataset, opt):
    """set[tuple[str, str]]: Folder and name of every image of a dataset."""
    scale = opt['scale']
    check_roots(name, dataset, scale)
    images, count = paired_images(name, dataset, scale) if dataset['type'] in PAIRED else (set(), None)
    phase = 'train' if name in ('datasets.train', 'search.reward.dataset') else 'val'
    if dataset['type'] == 'DeCoNASPatchDataset':
        channels = {'num_in_ch': 3, 'num_out_ch': 3}
    else:
        lq, gt, count = try_dataset(dataset, phase, name, scale)
        channels = {'num_in_ch': len(lq), 'num_out_ch': len(lq if gt is None else gt)}
    for key, found in channels.items():
        if (expected := opt['network_g'].get(key, 3)) != found and opt['network_g'].get('pretrained') is None:
            raise OptionError(f'network_g.{key}: expected {found}, as many channels as the images of {name} have, '
                              f'got {expected}')
    if name == 'datasets.train':
        _check_epoch(dataset, count, opt['num_gpu'])
    return images


def check_roots(name, dataset, scale):
    """Check that the folders and databases of a dataset are there.

    Raises:
        DataError: One is not; the message gives the command that prepares it.
    """
    for key in ('dataroot_gt', 'dataroot_lq'):
        if dataset.get(key) is not None and not Path(dataset[key]).expanduser().exists():
            raise DataError(f'{name}.{key}: {dataset[key]} does not exist; prepare it: {_command(dataset, scale)}')


def _check_epoch(dataset, count, num_gpu):
    samples = count * dataset['dataset_enlarge_ratio']
    batch = dataset['batch_size_per_gpu'] * (num_gpu if isinstance(num_gpu, int) and num_gpu else 1)
    if samples < batch:
        raise OptionError('datasets.train.dataset_enlarge_ratio: expected an epoch of at least one batch, '
                          f'{batch} samples, got {samples}; raise it')
    if samples > MOST_SAMPLES:
        raise OptionError(f'datasets.train.dataset_enlarge_ratio: expected an epoch of at most {MOST_SAMPLES:,} '
                          f'samples, got {samples:,}; lower it')


def pair_options(name, dataset, scale):
    """PatchOptions: Those of a dataset of pairs, as far as sizes and pairing depend on them."""
    phase = 'train' if name in ('datasets.train', 'search.reward.dataset') else 'val'
    # That is not on the colours that PairedImageDataset, and it alone, can convert to.
    others = {} if dataset['type'] == 'DeCoNASPatchDataset' else {'color': 'rgb'}
    return PatchOptions.from_opt({**dataset, 'phase': phase, 'scale': scale, **others}, name)


def paired_images(name, dataset, scale):
    """tuple[set, int]: Folder and name of every image, and the number of samples."""
    options = pair_options(name, dataset, scale)
    try:
        lq, gt, _, paths = list_pairs(options)
        is_lmdb = options.backend == 'lmdb'
        sizes = zip(lq.sizes, gt.sizes, strict=True) if is_lmdb else _file_sizes(lq, gt, options.phase)
        for (lq_size, gt_size), path in zip(sizes, paths, strict=False):
            if lq_size and gt_size:
                check_pair(lq_size, gt_size, path, options)
    except DeCoNASError as error:
        raise type(error)(f'{name}: {error}') from error
    root = str(Path(dataset['dataroot_gt']).expanduser().resolve())
    return {(root, image_name(Path(path).stem)) for path in paths}, len(paths)


def _smallest_side(opt):
    """int | None: The smallest side of the images that a run validates or tests, HR pixels; None if it is unknown."""
    sides = []
    for phase, dataset in opt['datasets'].items():
        if phase != 'train' and dataset['type'] in PAIRED:
            options = PatchOptions.from_opt({**dataset, 'phase': 'val', 'scale': opt['scale'], 'color': 'rgb'})
            lq, *_ = list_pairs(options)
            sizes = lq.sizes if options.backend == 'lmdb' else map(read_size, lq.paths)
            sides += [opt['scale'] * min(size) for size in sizes]
    return min(sides, default=None)


def _file_sizes(lq, gt, phase):
    """Iterator over the sizes of pairs of files; of training images, of which there may be many, only the first.

    Raises:
        DataError: One cannot be read. A broken training image is the dataset's to skip or to report.
    """
    if phase != 'train':
        return ((read_size(lq_path), read_size(gt_path))
                for lq_path, gt_path in zip(lq.paths, gt.paths, strict=True))
    pairs = itertools.islice(zip(lq.paths, gt.paths, strict=True), MOST_FILES)
    return (tuple(_size_or_none(path) for path in pair) for pair in pairs)


def _size_or_none(path):
    try:
        return read_size(path)
    except DataError:
        return None


def _command(dataset, scale):
    """str: The command that prepares a dataset of BasicSR's usual layout."""
    root = Path(dataset.get('dataroot_gt') or dataset['dataroot_lq'])
    prepare = tool_command('prepare-data')
    if 'sample_photos' in root.parts:
        return f'{prepare} --sample-photos --scale {scale}'
    if root.suffix == '.lmdb':
        name = re.split(r'_train|_reward|_val', root.stem)[0]
        return f'{prepare} --hr FOLDER_OF_HR_IMAGES --scale {scale} --name {name} --output {root.parent}'
    return f'{prepare} --test-set --hr FOLDER_OF_{root.parent.name.upper()} --scale {scale} --name {root.parent.name}'
