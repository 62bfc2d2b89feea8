"""Weights of CARN: the authors' PyTorch file, or an export for MXNet."""
import re

from deconas_plugin.archs.compared import CARN
from deconas_plugin.errors import WeightsError
from deconas_plugin.formats.published.mxnet_params import read_params
from deconas_plugin.utils.state_files import load_state

# Names in the authors' file: blocks b1 to b3 of residual blocks b1 to b3 and fusions c1 to c3, and fusions around them.
LAYERS = {r'entry': 'conv_first', r'exit': 'conv_last', r'c(\d)\.body\.0': 'body.fusions.{0}',
          r'b(\d)\.c(\d)\.body\.0': 'body.units.{0}.fusions.{1}',
          r'b(\d)\.b(\d)\.body\.0': 'body.units.{0}.units.{1}.conv1',
          r'b(\d)\.b(\d)\.body\.2': 'body.units.{0}.units.{1}.conv2'}


def read_carn(path, scale):
    """Read CARN.

    Args:
        path (Path): ``.pth`` of the authors, for several scales or one, or ``.params`` of MXNet for one scale, whose
            tensors are numbered in the order of the layers.
        scale (int): Of which scale.

    Returns:
        dict[str, ndarray]: By the names of our arch.

    Raises:
        WeightsError: It is no such file.
    """
    return _read_mxnet(path, scale) if path.suffix == '.params' else _read_pytorch(path, scale)


def _read_mxnet(path, scale):
    numbered = {}
    for name, array in read_params(path).items():
        number = re.search(r'\d+$', name)
        if number is None:
            raise WeightsError(f'{path}: expected numbered names such as learned_4, got {name}')
        numbered[int(number[0])] = array
    arrays = [numbered[number] for number in sorted(numbered)]
    # Subtracting and adding the mean of the colours are convolutions 3 -> 3 there.
    shifts = [index for index, array in enumerate(arrays) if array.shape == (3, 3, 1, 1)]
    arrays = [array for index, array in enumerate(arrays) if index not in shifts and index - 1 not in shifts]
    names = list(CARN(scale).state_dict())
    if len(arrays) != len(names):
        raise WeightsError(f'{path}: expected the {len(names)} tensors of CARN x{scale}, got {len(arrays)}')
    return dict(zip(names, arrays, strict=True))


def _read_pytorch(path, scale):
    tensors, _ = load_state(path)
    tails = sorted({match[1] for name in tensors if (match := re.match(r'upsample\.up(\d?)\.', name))})
    tail = next((tail for tail in (str(scale), '') if tail in tails), None)
    if tail is None:
        found = ', '.join(f'x{tail}' for tail in tails) or f'{min(tensors)} and other tensors'
        raise WeightsError(f'{path}: expected weights of CARN for x{scale}, found {found}')
    places = {name.rpartition('.')[0] for name in tensors if name.startswith(f'upsample.up{tail}.')}
    stages = {place: index for index, place in enumerate(sorted(places))}
    state = {}
    for name, tensor in tensors.items():
        layer, _, kind = name.rpartition('.')
        if re.match(r'(sub|add)_mean\.', layer) or layer.startswith('upsample.') and layer not in stages:
            continue
        state[f'{_rename(layer, stages, path)}.{kind}'] = tensor.numpy()
    return state


def _rename(layer, stages, path):
    if layer in stages:
        return f'upsample.{stages[layer]}'
    for pattern, ours in LAYERS.items():
        match = re.fullmatch(pattern, layer)
        if match:
            return ours.format(*(int(number) - 1 for number in match.groups()))
    raise WeightsError(f'{path}: expected layers of CARN such as b1.b1.body.0, got {layer}')
