"""Options as a run reads them: what an option file leaves out filled in, once, from the schema."""
import inspect

import torch
from basicsr.utils.registry import ARCH_REGISTRY, LOSS_REGISTRY, METRIC_REGISTRY

from deconas_plugin.options import schema
from deconas_plugin.search.strategy import STRATEGIES

SCHEMAS = {
    'search': schema.SEARCH_OPTIONS,
    'train': schema.TRAIN_OPTIONS,
    'test': schema.TEST_OPTIONS,
    'league': schema.LEAGUE_OPTIONS,
}
# Datasets whose keys the schema lists; of others it knows what the loaders read.
DESCRIBED = ('DeCoNASPatchDataset', 'PairedImageDataset', 'SingleImageDataset')
LOADER_KEYS = ('num_worker_per_gpu', 'batch_size_per_gpu', 'dataset_enlarge_ratio', 'num_prefetch_queue')
LR_PATCH = 64
# What a search without shared weights need not say, by section.
WITHOUT_ROUNDS = {
    'search': {'warmup_iter': 0, 'controller_freq': 1, 'controller_steps': 1, 'num_samples': 1,
               'strategy': {'type': 'random'}},
    'derive': {'num_samples': 0},
}
# Parts of the names of metrics of which less is better.
LOWER_IS_BETTER = ('niqe', 'lpips', 'fid', 'dists', 'brisque', 'pieapp', 'ilniqe', 'mse', 'mae', 'ergas')


def with_defaults(opt, task):
    """A copy of options in which nothing is left out that has a default, and whole numbers are integers.

    What is wrong stays as it is, for :func:`deconas_plugin.options.check.check_options` to name.

    Args:
        opt (dict): As :func:`deconas_plugin.options.read.load_options` gives them.
        task (str): 'search', 'train', 'test' or 'league'.

    Returns:
        dict: ``~`` stands only where a key has no default.
    """
    if task == 'search' and isinstance(opt.get('train'), dict) and opt['train'].get('total_iter') == 0:
        opt = _without_rounds(opt)
    opt = _filled(opt, SCHEMAS[task])
    scale = opt.get('scale')
    if task == 'test' and opt.get('val') is None:
        opt['val'] = _filled({}, schema.VAL)
    if 'num_gpu' in opt:
        opt['num_gpu'] = _whole(opt['num_gpu'])
    if isinstance(opt.get('datasets'), dict):
        opt['datasets'] = {phase: _dataset(dataset, scale, phase == 'train')
                           for phase, dataset in opt['datasets'].items()}
    for key in ('network_g', 'network_c'):
        _fill_keywords(opt, key, ARCH_REGISTRY)
    _fill_training(opt.get('train'))
    _fill_metrics(opt.get('val'))
    if task == 'search':
        _fill_search(opt, scale)
    return opt


def _without_rounds(opt):
    """dict: Options of a search without shared weights, with what such a one need not say."""
    opt = {'network_c': {'type': 'DeCoNASController'}, **opt}
    for section, unused in WITHOUT_ROUNDS.items():
        if isinstance(opt.get(section), dict):
            opt[section] = {**unused, **opt[section]}
    return opt


def _fill_search(opt, scale):
    search, derive = opt.get('search'), opt.get('derive')
    if isinstance(search, dict):
        _fill_keywords(search, 'strategy', STRATEGIES.module_dict)
        reward = search.get('reward')
        if isinstance(reward, dict) and isinstance(reward.get('dataset'), dict):
            reward['dataset'] = _dataset(reward['dataset'], scale, trains=True)
    if isinstance(derive, dict):
        _fill_training(derive.get('train'))
        if isinstance(derive.get('test_datasets'), dict):
            derive['test_datasets'] = {phase: _dataset(dataset, scale, trains=False)
                                       for phase, dataset in derive['test_datasets'].items()}


def _filled(section, keys):
    """A copy of a section, and of those inside it, with the defaults of their keys."""
    filled = dict(section)
    for name, key in keys.items():
        value = filled.get(name)
        if value is None:
            # None is no default but a choice of its own: it is not written where the file says nothing.
            if key.default is not schema.REQUIRED and (key.default is not None or name in filled):
                filled[name] = key.default
        elif key.kind == 'integer':
            filled[name] = _whole(value)
        elif key.keys and isinstance(value, dict):
            filled[name] = _filled(value, key.keys)
        elif key.keys and isinstance(value, list):
            filled[name] = [_filled(item, key.keys) if isinstance(item, dict) else item for item in value]
    return filled


def _dataset(dataset, scale, trains):
    if not isinstance(dataset, dict):
        return dataset
    keys = schema.DATASET
    if dataset.get('type') not in DESCRIBED:
        keys = {name: keys[name] for name in LOADER_KEYS} if trains else {}
    dataset = _filled(dataset, keys)
    if trains and dataset.get('type') in DESCRIBED and dataset.get('gt_size') is None and isinstance(scale, int):
        dataset['gt_size'] = LR_PATCH * scale
    return dataset


def _fill_training(train):
    if isinstance(train, dict):
        _fill_keywords(train, 'optim_g', vars(torch.optim))
        _fill_keywords(train, 'scheduler', {})
        for key in ('pixel_opt', 'perceptual_opt', 'frequency_opt'):
            _fill_keywords(train, key, LOSS_REGISTRY)


def _fill_metrics(val):
    if isinstance(val, dict) and val.get('metrics') == {}:
        val['metrics'] = None  # BasicSR would take the best of none
    if isinstance(val, dict) and isinstance(val.get('metrics'), dict):
        val['metrics'] = dict(val['metrics'])
        for name in val['metrics']:
            _fill_keywords(val['metrics'], name, METRIC_REGISTRY)
            metric = val['metrics'][name]
            if isinstance(metric, dict) and isinstance(metric.get('type'), str):
                if any(part in metric['type'].lower() for part in LOWER_IS_BETTER):
                    metric.setdefault('better', 'lower')


def _fill_keywords(section, key, registry):
    """Make whole numbers integers among the keywords of a type, but for those whose default is a fraction."""
    if not isinstance(section, dict) or not isinstance(section.get(key), dict):
        return
    values = section[key]
    name = values.get('type')
    target = registry.get(name) if isinstance(name, str) and name in registry else None
    try:
        parameters = inspect.signature(target).parameters
    except (TypeError, ValueError):
        parameters = {}
    section[key] = {name: value if _is_fraction(parameters.get(name)) else _whole(value)
                    for name, value in values.items()}


def _is_fraction(parameter):
    default = getattr(parameter, 'default', None)
    values = default if isinstance(default, (list, tuple)) else [default]
    return any(isinstance(value, float) for value in values)


def _whole(value):
    """An integer for a float that is one, also inside lists; all else as it is."""
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
