"""Checks an option file before any folder is made: what it says must be known, typed, consistent and there."""
import torch
from basicsr.utils.registry import ARCH_REGISTRY, LOSS_REGISTRY, METRIC_REGISTRY, MODEL_REGISTRY

from deconas_plugin.archs.forward import upsampling_stages
from deconas_plugin.archs.network_options import load_pretrained
from deconas_plugin.errors import DeCoNASError, OptionError
from deconas_plugin.files.user_code import import_user_code
from deconas_plugin.machine.device import device_of_run
from deconas_plugin.models.deconas_model import DeCoNASModel
from deconas_plugin.options.check_data import check_data, check_dataset, check_datasets
from deconas_plugin.options.check_keys import check_keywords, check_section, check_type
from deconas_plugin.options.check_run import check_memory, check_model, check_run, check_sizes
from deconas_plugin.options.check_search import check_search
from deconas_plugin.options.check_text import check_plain
from deconas_plugin.options.check_weights import check_weights
from deconas_plugin.options.defaults import LR_PATCH, SCHEMAS, with_defaults
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
        check_datasets(opt, task)
        if prepare:
            prepare(opt)
        _check_builds(opt, task)
        check_data(opt, task)
        return opt
    except DeCoNASError as error:
        raise type(error)(f'{error} ({source})') from error


def _check_constructors(opt, task):
    """Sections with a ``type`` hold nothing but keywords of what it names."""
    check_model(check_type(opt['model_type'], MODEL_REGISTRY, 'model_type'), opt['network_g'])
    _check_model_heeds(opt)
    for phase, dataset in opt['datasets'].items():
        allowed = ('test', 'val') if task == 'test' else ('train', 'val')
        if phase.split('_')[0] not in allowed:
            raise OptionError(f'datasets.{phase}: expected a phase that begins with {" or ".join(allowed)}')
        check_dataset(dataset, f'datasets.{phase}')
    check_keywords(opt['network_g'], ARCH_REGISTRY, 'network_g')
    for name, metric in ((opt.get('val') or {}).get('metrics') or {}).items():
        check_keywords(metric, METRIC_REGISTRY, f'val.metrics.{name}', extra=('better', ))
    if task != 'test':
        if 'train' not in opt['datasets']:
            raise OptionError('datasets.train: missing; expected the images to train on')
        _check_train(opt['train'], 'train')
        _check_model_serves(opt)
    if task == 'search':
        if opt['train'].get('compile'):
            raise OptionError('train.compile: expected false in a search, where every genotype would be compiled anew; '
                              'set derive.train.compile instead')
        check_keywords(opt['network_c'], ARCH_REGISTRY, 'network_c')
        check_keywords(opt['search']['strategy'], STRATEGIES, 'search.strategy')
        for index, term in enumerate(opt['search']['penalty']):
            check_type(term['type'], MEASURES, f'search.penalty[{index}].type')
        check_dataset(opt['search']['reward']['dataset'], 'search.reward.dataset')
        _check_train(opt['derive']['train'], 'derive.train')
        for phase, dataset in (opt['derive'].get('test_datasets') or {}).items():
            check_dataset(dataset, f'derive.test_datasets.{phase}')


def _check_train(train, name):
    check_keywords(train['optim_g'], vars(torch.optim), f'{name}.optim_g')
    if train['optim_g'].get('lr') is None:
        raise OptionError(f'{name}.optim_g.lr: missing; expected the learning rate, such as 0.0001')
    check_keywords(train['scheduler'], SCHEDULERS, f'{name}.scheduler')
    losses = [key for key in ('pixel_opt', 'perceptual_opt') if train.get(key)]
    if not losses:
        raise OptionError(f'{name}.pixel_opt: missing; expected a loss such as {{type: L1Loss, loss_weight: 1.0}}')
    if train.get('frequency_opt'):
        losses.append('frequency_opt')
    for key in losses:
        check_keywords(train[key], LOSS_REGISTRY, f'{name}.{key}')


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
        side = (opt['datasets'].get('train') or {}).get('gt_size', LR_PATCH * opt['scale']) // opt['scale']
        try_network(network, _network(opt), opt['scale'], side, here)
    check_precisions(opt, network)
    check_weights(opt, {'network_g': network})
