"""From the reference's variables to a DeCoNASNet.

The reference works on BGR images from which the mean has been subtracted, has kernels of (height, width, in, out), and
its ``depth_to_space`` takes channels in the order (row, column, channel), PixelShuffle in the order (channel, row,
column).
"""
from dataclasses import dataclass, replace

import numpy as np
import torch

from deconas_plugin.archs.deconas_arch import DeCoNASNet
from deconas_plugin.archs.forward import upsampling_stages
from deconas_plugin.errors import WeightsError
from deconas_plugin.files.states import save_state
from deconas_plugin.formats.convert import describe
from tools.lab.tf_reference.genotype import KERNELS, Sizes, read_genotype
from tools.lab.tf_reference.variables import Variables


def convert_reference(source, target, genotype=None):
    """Write the reference's weights as a ``.pth`` or ``.safetensors``.

    Args:
        source, genotype: See :class:`Variables` and :func:`network_from_variables`.
        target (str | Path): The file to write.

    Returns:
        str: What was written, for the user.
    """
    net = network_from_variables(Variables(source), genotype)
    save_state(net.state_dict(), target, describe(net))
    return f'{target}: DeCoNASNet x{net.upscale}, genotype {net.genotype}'


def network_from_variables(variables, genotype=None):
    """Turn the reference's variables into a network for RGB images, with the mean inside.

    Args:
        variables (Variables): The network's.
        genotype (str | None): As for DeCoNASNet. Default: what the variables tell, see :func:`read_genotype`.

    Returns:
        DeCoNASNet: In evaluation mode.

    Raises:
        WeightsError: A variable is missing, unknown or of another shape than expected, or the genotype does not fit.
        GenotypeError: The genotype has to be given.
    """
    sizes = Sizes.of(variables)
    net = DeCoNASNet(
        read_genotype(variables, sizes, genotype), num_feat=sizes.num_feat, num_block=sizes.num_block,
        num_layer=sizes.num_layer, upscale=sizes.upscale)
    convolutions = _convolutions(net)
    expected = net.state_dict()
    state = {name: expected[name] for name in ('mean', 'genotype_code')}
    for name, convolution in convolutions.items():
        for tensor_name, variable, array in convolution.arrays(name, variables):
            if array.shape != tuple(expected[tensor_name].shape):
                raise WeightsError(f'child/{variable}: expected a shape for {tensor_name} of '
                                   f'{tuple(expected[tensor_name].shape)}, got it for {array.shape}')
            state[tensor_name] = torch.from_numpy(np.ascontiguousarray(array, np.float32))
    known = {variable for convolution in (*convolutions.values(), *_unused(net)) for variable in convolution.variables}
    unknown = sorted(set(variables) - known)
    if unknown:
        raise WeightsError(f'child/{unknown[0]}: unexpected variable ({len(unknown)} of them); this genotype has none')
    net.load_state_dict(state)
    return net.eval()


@dataclass(frozen=True)
class _Convolution:
    """A convolution of the reference.

    Attributes:
        weight, bias (str): Names of its variables.
        depthwise (str | None): That of the depthwise kernel before it.
        from_bgr, to_bgr (bool): Whether it reads or writes image channels.
        shuffle (int): By how much ``depth_to_space`` upscales what it writes.
    """
    weight: str
    bias: str
    depthwise: str | None = None
    from_bgr: bool = False
    to_bgr: bool = False
    shuffle: int = 1

    @property
    def variables(self):
        return [name for name in (self.weight, self.bias, self.depthwise) if name]

    def arrays(self, name, variables):
        """list[tuple[str, str, ndarray]]: The tensors of our convolution ``name``: name, variable, value."""
        weight = self._ordered(variables.kernel(self.weight).transpose(3, 2, 0, 1))
        weight = weight[:, ::-1] if self.from_bgr else weight
        arrays = [(f'{name}.{"pointwise" if self.depthwise else "weight"}', self.weight, weight),
                  (f'{name}.bias', self.bias, self._ordered(variables.bias(self.bias)))]
        if self.depthwise:
            depthwise = variables.kernel(self.depthwise).transpose(2, 3, 0, 1)
            arrays.append((f'{name}.depthwise', self.depthwise, depthwise))
        return arrays

    def _ordered(self, array):
        """ndarray: With the output channels, its first dimension, in our order."""
        if self.to_bgr:
            return array[::-1]
        if self.shuffle > 1 and len(array) % self.shuffle**2 == 0:
            return array.reshape(self.shuffle**2, -1, *array.shape[1:]).swapaxes(0, 1).reshape(array.shape)
        return array


def _named(pattern):
    """_Convolution: Of which the names are alike; ``{}`` stands for w and b."""
    return _Convolution(pattern.format('w'), pattern.format('b'))


def _convolutions(net):
    """dict[str, _Convolution]: For each convolution of the network by its name."""
    convolutions = {
        'conv_first': replace(_named('stem_conv/{}_grl'), from_bgr=True),
        'conv_second': _named('stem_conv/{}_sfe'),
        'global_fusion': _named('global_concat/{}_gc'),
        'conv_fusion': _named('global_concat/{}_gfe'),
        'conv_last': replace(_named('result_conv/{}'), to_bgr=True),
    }
    stages = upsampling_stages(net.upscale)
    for stage, factor in enumerate(stages):
        number = stage + 1 if len(stages) > 1 else ''
        convolutions[f'upsample.{2 * stage}'] = replace(_named(f'{{}}_rsu{number}'), shuffle=factor)
    for b, _ in enumerate(net.transitions):
        convolutions[f'transitions.{b}'] = _named(f'layer_{b}/block_connection_{b}/{{}}_bc')
    for b, block in enumerate(net.blocks):
        convolutions[f'blocks.{b}.local_fusion'] = _named(f'layer_{b}/local_concat/{{}}_lc')
        for k, layer in block.layers.items():
            convolutions |= _layer(f'blocks.{b}.layers.{k}', f'layer_{b}/cell_{k}', layer.operations)
    return convolutions


def _layer(ours, theirs, operations):
    convolutions = {
        f'{ours}.attention.squeeze': _named(f'{theirs}/channel_attn/wd_{{}}'),
        f'{ours}.attention.excite': _named(f'{theirs}/channel_attn/wu_{{}}'),
    }
    for name in operations:
        scope = KERNELS[name].split('/')[0]
        depthwise = f'{theirs}/{scope}/w_depth' if name == 'sep_conv3x3' else None
        convolutions[f'{ours}.operations.{name}'] = _Convolution(
            f'{theirs}/{KERNELS[name]}', f'{theirs}/{scope}/b', depthwise)
    return convolutions


def _unused(net):
    """list[_Convolution]: What the reference has but its output does not depend on."""
    space = net.genotype.space
    last = space.num_block - 1
    dead = set(range(space.num_layer)) - set(net.genotype.live_layers)
    return [_named(f'layer_{last}/block_connection_{last}/{{}}_bc')] + [
        convolution for b in range(space.num_block) for k in dead
        for convolution in _layer('', f'layer_{b}/cell_{k}', KERNELS).values()]
