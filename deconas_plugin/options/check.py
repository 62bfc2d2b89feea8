"""Checks an option file before any folder is made: what it says must be known, typed, consistent and there."""
import inspect
from decimal import Decimal, InvalidOperation

import torch
from basicsr.utils.registry import ARCH_REGISTRY, DATASET_REGISTRY, LOSS_REGISTRY, METRIC_REGISTRY, MODEL_REGISTRY

from deconas_plugin.archs.forward import upsampling_stages
from deconas_plugin.archs.network_options import load_pretrained
from deconas_plugin.errors import DeCoNASError, OptionError
from deconas_plugin.files.user_code import import_user_code
from deconas_plugin.machine.device import device_of_run
from deconas_plugin.models.deconas_model import DeCoNASModel
from deconas_plugin.options import schema as option_schema
from deconas_plugin.options.check_data import check_data
from deconas_plugin.options.check_run import check_memory, check_model, check_run, check_sizes
from deconas_plugin.options.check_search import check_search
from deconas_plugin.options.check_text import check_name, check_plain
from deconas_plugin.options.check_weights import check_weights
from deconas_plugin.options.defaults import DESCRIBED, SCHEMAS, with_defaults
from deconas_plugin.options.schema import REQUIRED, nearest
from deconas_plugin.options.trial import (
    SCHEDULERS,
    check_network_builds,
    check_precisions,
    try_network,
    try_optimizer_of_model,
    try_training,
)
from deconas_plugin.search.penalty import MEASURES
from deconas_plugin.search.strategy import STRATEGIES
from deconas_plugin.space.genotype import Genotype

KINDS = {
    'integer': (int, 'a whole number'),
    'number': ((int, float), 'a number'),
    'boolean': (bool, 'true or false'),
    'text': (str, 'text'),
    'name': (str, 'text'),
    'list': (list, 'a list'),
    'mapping': (dict, 'a section with keys'),
    'any': (object, 'a value'),
}
# BasicSR fills these in; a constructor may have them, an option file may not.
FILLED_IN = {'self', 'space', 'controller', 'counter', 'seed', 'params', 'optimizer', 'img', 'img2', 'opt',
             'total_iter', 'warmup_iter'}


def check_options(opt, source, task, prepare=None):
    """Check options, and fill in what they leave out.

    Args:
        opt (dict): As :func:`deconas_plugin.options.read.load_options` gives them.
        source (str): The file, for messages.
        task (str): 'search', 'train' or 'test'.
        prepare (Callable[[dict], None] | None): Called with the options when only files and data are still to be
            checked: it may make them.

    Returns:
        dict: The options with all defaults, see :func:`deconas_plugin.options.defaults.with_defaults`.

    Raises:
        OptionError: One line that names the key, what was found, what is expected, and the file.
        DataError: Data that is not there, with the command that prepares it.
    """
    try:
        check_plain(opt)
        # Before the rest, because other options may name what it registers.
        import_user_code(opt)
        opt = with_defaults(opt, task)
        check_section(opt, SCHEMAS[task], '')
        _check_constructors(opt, task)
        check_sizes(opt)
        _check_networks(opt, task)
        _check_scale(opt)
        check_run(opt, task)
        if prepare:
            prepare(opt)
        _check_builds(opt, task)
        check_data(opt, task)
        return opt
    except DeCoNASError as error:
        raise type(error)(f'{error} ({source})') from error


def check_section(section, keys, prefix):
    """Check names, kinds and ranges of a section.

    Args:
        section (dict): What a file says.
        keys (dict[str, Key]): What it may say.
        prefix (str): Place of the section for messages, with a dot at its end.

    Raises:
        OptionError: A key is unknown or missing, or has another kind or value than it may have.
    """
    for name, value in section.items():
        if name not in keys:
            raise OptionError(f'{prefix}{name}: unknown option{nearest(name, keys)}')
        _check_value(value, keys[name], f'{prefix}{name}')
    missing = [name for name, key in keys.items() if key.default is REQUIRED and name not in section]
    if missing:
        raise OptionError(f'{prefix}{missing[0]}: missing; expected {KINDS[keys[missing[0]].kind][1]}: '
                          f'{keys[missing[0]].meaning}')


def _check_value(value, key, name):
    if value is None and key.nullable:
        return
    expected_type, expected = KINDS[key.kind]
    if not isinstance(value, expected_type) or (isinstance(value, bool) and key.kind in ('integer', 'number')):
        raise OptionError(f'{name}: expected {expected}, got {value!r}{_number_hint(value)}')
    if key.minimum is not None and value < key.minimum:
        raise OptionError(f'{name}: expected at least {key.minimum}, got {value!r}')
    if key.above is not None and not value > key.above:
        raise OptionError(f'{name}: expected more than {key.above}, got {value!r}')
    if key.maximum is not None and value > key.maximum:
        raise OptionError(f'{name}: expected at most {key.maximum}, got {value!r}')
    if key.kind == 'name' and value != key.default:
        check_name(value, name)
    if key.choices and value not in key.choices:
        raise OptionError(f'{name}: expected one of {", ".join(map(str, key.choices))}, got {value!r}')
    if key.keys:
        for index, section in enumerate(value if key.kind == 'list' else [value]):
            place = f'{name}[{index}]' if key.kind == 'list' else name
            if not isinstance(section, dict):
                raise OptionError(f'{place}: expected a section with keys, got {section!r}')
            check_section(section, key.keys, f'{place}.')


def _number_hint(value):
    """str: How to write a number that YAML has read as text, as it does with 1e-4; nothing for other values."""
    try:
        return f' (text); write {Decimal(value):f}' if isinstance(value, str) else ''
    except InvalidOperation:
        return ''


def _check_constructors(opt, task):
    """Sections with a ``type`` hold nothing but keywords of what it names."""
    check_model(_check_type(opt['model_type'], MODEL_REGISTRY, 'model_type'), opt['network_g'])
    _check_model_heeds(opt)
    for phase, dataset in opt['datasets'].items():
        allowed = ('test', 'val') if task == 'test' else ('train', 'val')
        if phase.split('_')[0] not in allowed:
            raise OptionError(f'datasets.{phase}: expected a phase that begins with {" or ".join(allowed)}')
        _check_dataset(dataset, f'datasets.{phase}')
    _check_keywords(opt['network_g'], ARCH_REGISTRY, 'network_g')
    for name, metric in ((opt.get('val') or {}).get('metrics') or {}).items():
        _check_keywords(metric, METRIC_REGISTRY, f'val.metrics.{name}', extra=('better', ))
    if task != 'test':
        if 'train' not in opt['datasets']:
            raise OptionError('datasets.train: missing; expected the images to train on')
        _check_train(opt['train'], 'train')
        _check_model_serves(opt)
    if task == 'search':
        if opt['train'].get('compile'):
            raise OptionError('train.compile: expected false in a search, where every genotype would be compiled anew; '
                              'set derive.train.compile instead')
        _check_keywords(opt['network_c'], ARCH_REGISTRY, 'network_c')
        _check_keywords(opt['search']['strategy'], STRATEGIES, 'search.strategy')
        for index, term in enumerate(opt['search']['penalty']):
            _check_type(term['type'], MEASURES, f'search.penalty[{index}].type')
        _check_dataset(opt['search']['reward']['dataset'], 'search.reward.dataset')
        _check_train(opt['derive']['train'], 'derive.train')
        for phase, dataset in (opt['derive'].get('test_datasets') or {}).items():
            _check_dataset(dataset, f'derive.test_datasets.{phase}')


def _check_dataset(dataset, name):
    if not isinstance(dataset, dict):
        raise OptionError(f'{name}: expected a section with keys, got {dataset!r}')
    _check_type(dataset.get('type'), DATASET_REGISTRY, f'{name}.type')
    if dataset['type'] == 'SingleImageDataset':
        check_section(dataset, {key: value for key, value in option_schema.DATASET.items() if key != 'dataroot_gt'},
                       f'{name}.')
    elif dataset['type'] in DESCRIBED:
        check_section(dataset, option_schema.DATASET, f'{name}.')
    if dataset['type'] == 'PairedImageDataset':
        for key in ('final_gt_size', 'use_channel_shuffle'):
            if dataset.get(key):
                raise OptionError(f'{name}.{key}: PairedImageDataset has no such option; set type: DeCoNASPatchDataset')


def _check_train(train, name):
    _check_keywords(train['optim_g'], vars(torch.optim), f'{name}.optim_g')
    if train['optim_g'].get('lr') is None:
        raise OptionError(f'{name}.optim_g.lr: missing; expected the learning rate, such as 0.0001')
    _check_keywords(train['scheduler'], SCHEDULERS, f'{name}.scheduler')
    losses = [key for key in ('pixel_opt', 'perceptual_opt') if train.get(key)]
    if not losses:
        raise OptionError(f'{name}.pixel_opt: missing; expected a loss such as {{type: L1Loss, loss_weight: 1.0}}')
    if train.get('frequency_opt'):
        losses.append('frequency_opt')
    for key in losses:
        _check_keywords(train[key], LOSS_REGISTRY, f'{name}.{key}')


def _check_model_serves(opt):
    """Models of BasicSR would stop at some options of training, or ignore them."""
    if issubclass(MODEL_REGISTRY.get(opt['model_type']), DeCoNASModel):
        return
    for key, asks in (('scheduler.type', opt['train']['scheduler']['type'] == 'WarmupCosineLR'),
                      ('frequency_opt', bool(opt['train'].get('frequency_opt')))):
        if asks:
            raise OptionError(f'train.{key}: {opt["model_type"]} does not know it; set model_type: DeCoNASModel')


def _check_model_heeds(opt):
    """Raise an OptionError for options other than their defaults that a model of BasicSR itself would ignore."""
    model = MODEL_REGISTRY.get(opt['model_type'])
    if not model.__module__.startswith('basicsr.'):
        return
    for place in ('train.precision', 'train.compile', 'train.grad_clip', 'train.skip_loss_over', 'val.precision'):
        section, name = place.split('.')
        value = (opt.get(section) or {}).get(name)
        if value not in (None, False, 'float32'):  # float32 is all that they compute
            raise OptionError(f'{place}: {opt["model_type"]} ignores it, got {value!r}; set model_type: DeCoNASModel, '
                              'or leave it out')


def _registered(registry):
    """dict: name -> class or function of a registry of BasicSR or mmengine, or of a plain dict."""
    if isinstance(registry, dict):
        return {name: value for name, value in registry.items() if inspect.isclass(value)}
    return registry.module_dict if hasattr(registry, 'module_dict') else dict(iter(registry))


def _check_type(name, registry, key):
    known = _registered(registry)
    # As BasicSR itself finds those that it registers under a longer name.
    name = f'{name}_basicsr' if f'{name}_basicsr' in known and name not in known else name
    if not isinstance(name, str) or name not in known:
        raise OptionError(f'{key}: nothing is registered as {name!r}{nearest(name, known)}')
    return known[name]


def _check_keywords(section, registry, name, extra=()):
    """Check the keywords of a section against the constructor that its type names, and numbers against defaults."""
    if not isinstance(section, dict):
        raise OptionError(f'{name}: expected a section with keys, got {section!r}')
    target = _check_type(section.get('type'), registry, f'{name}.type')
    parameters = inspect.signature(target).parameters
    keywords = set(option_keywords(target)) | {'type', *extra}
    for key, value in section.items():
        if key not in keywords:
            raise OptionError(f'{name}.{key}: {section["type"]} has no such option{nearest(key, keywords)}')
        default = parameters[key].default if key in parameters else None
        if (hint := _number_hint(value)) and not isinstance(default, str):
            raise OptionError(f'{name}.{key}: expected a number, got {value!r}{hint}')
        if isinstance(default, (bool, int)) and value is not None:
            kind = 'boolean' if isinstance(default, bool) else 'number'
            _check_value(value, option_schema.Key(kind, ''), f'{name}.{key}')
    for key, parameter in parameters.items():
        needed = parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
        if needed and key not in FILLED_IN and key not in section:
            raise OptionError(f'{name}.{key}: missing; {section["type"]} needs it')


def option_keywords(target):
    """dict[str, Parameter]: The keywords of a constructor that an option file may give."""
    parameters = inspect.signature(target).parameters
    # Where a space has a default, it is the name of one, not what the search fills in.
    named_space = 'space' in parameters and parameters['space'].default is not inspect.Parameter.empty
    filled_in = FILLED_IN - {'space'} if named_space else FILLED_IN
    return {name: parameter for name, parameter in parameters.items() if name not in filled_in}


def _network(opt):
    """dict: network_g with what its pretrained weights say."""
    network = opt['network_g']
    if network['type'] != 'DeCoNASNet' or network.get('pretrained') is None:
        return network
    given = {key: value for key, value in network.items() if key not in ('type', 'pretrained')}
    return {**network, **load_pretrained(network['pretrained'], given)[0]}


def _check_networks(opt, task):
    network = _network(opt)
    for key, name, expected in (('network_g.type', network['type'], 'DeCoNASSuperNet'),
                                ('model_type', opt['model_type'], 'DeCoNASSearchModel')):
        if (task == 'search') != (name == expected):
            needed = expected if task == 'search' else f'another than {expected}, which searches'
            raise OptionError(f'{key}: expected {needed}, got {name!r}')
    if network['type'] == 'DeCoNASNet':
        keys = ('num_block', 'num_layer', 'operations')
        try:
            Genotype.parse(network.get('genotype', 'DeCoNASNet_x2'), num_feat=network.get('num_feat', 64),
                           **{k: network[k] for k in keys if k in network})
        except DeCoNASError as error:
            raise OptionError(f'network_g.{error}') from error
        except (TypeError, ValueError) as error:
            raise OptionError(f'network_g: {", ".join(keys)} and genotype describe no network: {error}') from error


def _check_scale(opt):
    scale, network = opt['scale'], _network(opt)
    upscale = network.get('upscale', 2) if network['type'].startswith('DeCoNAS') else network.get('upscale', scale)
    if network['type'].startswith('DeCoNAS'):
        upsampling_stages(upscale)
    if upscale != scale:
        raise OptionError(f'network_g.upscale: expected the scale {scale}, got {upscale}')
    for name, metric in ((opt.get('val') or {}).get('metrics') or {}).items():
        if metric.get('crop_border', scale) != scale:
            raise OptionError(f'val.metrics.{name}.crop_border: expected the scale {scale}, '
                              f'got {metric["crop_border"]}')
    datasets = {f'datasets.{phase}': dataset for phase, dataset in opt['datasets'].items()}
    if 'search' in opt:
        datasets['search.reward.dataset'] = opt['search']['reward']['dataset']
    for name, dataset in datasets.items():
        if (dataset.get('gt_size') or scale) % scale:
            raise OptionError(f'{name}.gt_size: expected a multiple of the scale {scale}, got {dataset["gt_size"]}')


def _check_builds(opt, task):
    real = opt['path'].get('pretrain_network_g') is not None
    network = check_network_builds(opt['network_g'], 'network_g', real)
    check_memory(opt, network)
    if task != 'test':
        try_training(opt['train'], 'train')
        try_optimizer_of_model(MODEL_REGISTRY.get(opt['model_type']), opt['train'])
    if task == 'search':
        try_training(opt['derive']['train'], 'derive.train')
        check_search(opt, network)
    else:
        here = torch.device('meta') if next(network.parameters()).is_meta else device_of_run(opt['num_gpu'])
        side = (opt['datasets'].get('train') or {}).get('gt_size', 64 * opt['scale']) // opt['scale']
        try_network(network, _network(opt), opt['scale'], side, here)
    check_precisions(opt, network)
    check_weights(opt, {'network_g': network})
