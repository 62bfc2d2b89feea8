"""Checks that the weights which ``path`` names are those of the networks that they are to be loaded into."""
from pathlib import Path

from basicsr.utils.registry import MODEL_REGISTRY

from deconas_plugin.archs.load import check_state
from deconas_plugin.errors import OptionError, WeightsError
from deconas_plugin.files.paths import tool_command
from deconas_plugin.files.states import load_state
from deconas_plugin.models.checkpointing import CheckpointMixin


def check_weights(opt, networks):
    """Check ``path.pretrain_network_g`` and ``path.pretrain_network_c``.

    Args:
        opt (dict): Options whose sections, keys and types have been checked, with defaults.
        networks (dict[str, Module]): By key such as ``network_g``: what was built on trial, with real buffers.

    Raises:
        OptionError: The model does not read such a file.
        WeightsError: The file is unreadable or holds the weights of another network.
    """
    reads_all = issubclass(MODEL_REGISTRY.get(opt['model_type']), CheckpointMixin)
    for network, net in networks.items():
        key = f'path.pretrain_{network}'
        given = opt['path'].get(key.removeprefix('path.'))
        if given is None:
            continue
        file = Path(given).expanduser()
        if not file.is_file():
            raise OptionError(f'{key}: {given} does not exist; train it first, or name another file')
        if not reads_all and file.suffix != '.pth':
            raise OptionError(f'{key}: {opt["model_type"]} reads .pth files alone, got {given!r}; set model_type: '
                              f'DeCoNASModel, or convert it with {tool_command("convert")}')
        param_key = opt['path']['param_key_g'] if network == 'network_g' else 'params'
        try:
            state, found = load_state(file, (param_key, 'params'))
            if not reads_all:
                _check_plain(found, file, opt['model_type'])
            if network == 'network_g' and not opt['path']['strict_load_g']:
                continue
            check_state(net, state, file)
        except WeightsError as error:
            raise WeightsError(f'{key}: {error}') from error


def _check_plain(found, file, model_type):
    """Models of BasicSR load nothing but what BasicSR saves."""
    renamed = found['renamed'] - {'module.'}
    problem = 'holds no params' if found['key'] is None else f'has names that begin with {min(renamed)}' \
        if renamed else None
    if problem:
        raise WeightsError(f'{file}: it {problem}, and {model_type} reads what BasicSR writes; set model_type: '
                           'DeCoNASModel, which reads this too')
