"""The arguments of a derived network, read off its tensors, a few bytes among them, or off weights of the model zoo."""
import math

import torch
import yaml

from deconas_plugin.errors import DeCoNASError, GenotypeError, WeightsError
from deconas_plugin.files.states import load_state
from deconas_plugin.files.zoo import load_zoo
from deconas_plugin.space.genotype import Genotype


def encode_network(genotype, residual='none'):
    """Tensor: uint8, (n,), as text the genotype with its space, and the network's residual where it has one."""
    told = genotype.to_dict() if residual == 'none' else {**genotype.to_dict(), 'residual': residual}
    text = yaml.safe_dump(told, default_flow_style=True, width=float('inf'))
    return torch.tensor(list(text.encode('ascii')), dtype=torch.uint8)


def decode_genotype(code):
    """Genotype: The one that :func:`encode_network` wrote.

    Raises:
        WeightsError: The tensor holds none.
    """
    try:
        return Genotype.from_dict(_read(code))
    except (GenotypeError, ValueError, TypeError, yaml.YAMLError) as error:
        raise WeightsError('weights: genotype_code holds no genotype; they were not written by DeCoNASNet') from error


def decode_residual(code):
    """str: The residual of the network whose genotype :func:`encode_network` wrote."""
    try:
        return _read(code).get('residual', 'none')
    except (ValueError, AttributeError, yaml.YAMLError):
        return 'none'  # that it holds no genotype is for decode_genotype to say


def _read(code):
    return yaml.safe_load(bytes(code.flatten().tolist()).decode('ascii'))


def network_options(state):
    """Read the arguments of DeCoNASNet off the tensors.

    Args:
        state (dict[str, Tensor]): Of a DeCoNASNet or FusedDeCoNASNet.

    Returns:
        dict: Keyword arguments, among them ``genotype`` as a Genotype.

    Raises:
        WeightsError: It is the state dict of another network.
    """
    if 'genotype_code' not in state and any('.weight.0' in name for name in state):
        raise WeightsError('these are weights of a supernet, which hold no genotype; derive a network from them first')
    genotype = decode_genotype(_tensor(state, 'genotype_code'))
    num_block = len({name.split('.')[1] for name in state if name.startswith('blocks.')})
    if num_block != genotype.space.num_block:
        raise WeightsError(f'expected {genotype.space.num_block} blocks, as its genotype_code says, got {num_block}')
    num_feat, num_in_ch = _shape(state, 'conv_first.weight')[:2]
    tail, last = tail_of(state), _last_convolution(state)
    upscale = upscale_of(state)
    return dict(
        genotype=genotype,
        num_in_ch=num_in_ch,
        num_out_ch=_shape(state, last)[0] // (upscale**2 if tail == 'light' else 1),
        num_feat=num_feat,
        num_block=genotype.space.num_block,
        num_layer=genotype.space.num_layer,
        upscale=upscale,
        operations=genotype.space.operations,
        rgb_mean=tuple(_tensor(state, 'mean').float().flatten().tolist()),
        tail=tail,
        residual=decode_residual(state['genotype_code']))


def is_fused(state):
    """bool: Whether the state dict is that of a FusedDeCoNASNet."""
    return 'first_two.conv.weight' in state


def tail_of(state):
    """str: The kind of tail, 'classic' or 'light'."""
    return 'light' if 'upsample.0.weight' in state and 'conv_last.weight' not in state else 'classic'


def upscale_of(state):
    """int: The scale, from how many channels each stage of the upsampler writes for one that it reads (a light one: for
    one of the image); 1 without any.

    Raises:
        WeightsError: A tensor has the wrong shape.
    """
    if tail_of(state) == 'light':
        return math.isqrt(_shape(state, _last_convolution(state))[0] // _tensor(state, 'mean').numel())
    prefix = 'upsample_last.stack.0.' if is_fused(state) else 'upsample.'
    stages = [_shape(state, name) for name in state if name.startswith(prefix) and name.endswith('.weight')]
    return math.prod(math.isqrt(written // read) for written, read, *_ in stages)


def _last_convolution(state):
    """str: The name of the weight that writes colours."""
    if tail_of(state) == 'light':
        return 'upsample.0.weight'
    return 'upsample_last.stack.1.weight' if is_fused(state) else 'conv_last.weight'


def _shape(state, name):
    shape = tuple(_tensor(state, name).shape)
    if len(shape) != 4 or 0 in shape:
        raise WeightsError(f'{name}: expected the weights of a convolution, got the shape {shape}')
    return shape


def _tensor(state, name):
    if name not in state:
        raise WeightsError(f'expected the weights of a DeCoNASNet, found no {name} among {len(state)} tensors')
    return state[name]


def load_pretrained(name, given):
    """Load weights by name.

    Args:
        name (str): Of the model zoo.
        given (dict): Arguments of DeCoNASNet that must agree with the weights.

    Returns:
        tuple[dict, dict[str, Tensor]]: The arguments of DeCoNASNet that the weights tell, and the weights.

    Raises:
        WeightsError: There are no such weights, they are damaged, or an argument does not agree.
    """
    if not isinstance(name, str):
        raise WeightsError(f'network_g.pretrained: expected the name of a network of the model zoo, got {name!r}')
    state, _ = load_state(load_zoo().weights(name))
    options = network_options(state)
    for key, value in given.items():
        if key not in options:  # such as init: weights do not tell it, and there is nothing left for it to do
            raise WeightsError(f'network_g.{key}: expected none beside pretrained, got {value!r}; leave it out')
        if not _agree(key, value, options):
            raise WeightsError(f'network_g.{key}: expected {options[key]}, as of the pretrained weights {name}, got '
                               f'{value}; leave it out')
    return options, state


def _agree(key, value, options):
    if key == 'genotype':
        sizes = {name: options[name] for name in ('num_block', 'num_layer', 'operations', 'num_feat')}
        try:
            return Genotype.parse(value, **sizes) == options[key]
        except DeCoNASError:
            return False
    if key == 'rgb_mean':
        return len(value) == len(options[key]) and all(
            abs(one - other) < 1e-6 for one, other in zip(value, options[key], strict=True))
    return (tuple(value) if key == 'operations' else value) == options[key]
