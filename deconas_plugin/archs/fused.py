"""The derived network for inference: fewer convolutions that compute the same."""
import copy
from dataclasses import dataclass, replace
from itertools import permutations

import torch
from torch import nn
from torch.nn import functional as F

from deconas_plugin.archs.forward import DeCoNASForward, DenseBlock, DenseLayer
from deconas_plugin.archs.operation_weights import JoinedWeights
from deconas_plugin.archs.operations import build_operation

RADIUS = 2
# Pixels at each side of an image that determine the outermost ring of the stack's output.
STRIP = RADIUS + 1


class ComposedConv(nn.Module):
    """A stack of 3x3 convolutions and PixelShuffles as one 5x5 convolution and one PixelShuffle, for inference.

    Exact everywhere. In the outermost ring, where every convolution of the stack pads with zeros in between and the one
    convolution cannot, the stack itself is applied to strips of the image.

    Args:
        stack (nn.Sequential): Linear, and its output pixel depends on no more than 5x5 input pixels.
        num_in_ch (int): Its input channels.
        upscale (int): By how much it upscales. Default: 1.
    """

    def __init__(self, stack, num_in_ch, upscale=1):
        super().__init__()
        self.stack = copy.deepcopy(stack)
        self.upscale = upscale
        weight, bias = _impulse_response(stack, num_in_ch, upscale)
        self.conv = nn.Conv2d(num_in_ch, len(weight), 2 * RADIUS + 1, padding=RADIUS)
        self.conv.load_state_dict({'weight': weight, 'bias': bias})

    def forward(self, x):
        """(N, num_in_ch, H, W) -> (N, C, upscale * H, upscale * W)."""
        ring = self.upscale
        inner = F.pixel_shuffle(self.conv(x), self.upscale)
        left, right = self.stack(x[..., :STRIP]), self.stack(x[..., -STRIP:])
        top, bottom = self.stack(x[..., :STRIP, :]), self.stack(x[..., -STRIP:, :])
        # The second slice of right and bottom leaves nothing where left and top are the whole image, one pixel.
        rows = torch.cat([left[..., :ring], inner[..., ring:-ring], right[..., ring:][..., -ring:]], dim=3)
        return torch.cat([top[..., :ring, :], rows[..., ring:-ring, :], bottom[..., ring:, :][..., -ring:, :]], dim=2)


@torch.no_grad()
def _impulse_response(stack, num_in_ch, upscale):
    """tuple[Tensor, Tensor]: Weight and bias of the one convolution, from what the stack makes of single pixels."""
    stack = copy.deepcopy(stack).double().cpu()
    centre, size = 2 * RADIUS, 4 * RADIUS + 1
    impulses = torch.zeros(num_in_ch + 1, num_in_ch, size, size, dtype=torch.float64)
    for channel in range(num_in_ch):
        impulses[channel, channel, centre, centre] = 1
    response = F.pixel_unshuffle(stack(impulses), upscale)
    silence = response[-1:]
    window = slice(centre - RADIUS, centre + RADIUS + 1)
    # A convolution in the sense of PyTorch is a correlation: its kernel is the response, mirrored.
    weight = (response[:-1] - silence)[..., window, window].flip(2, 3).transpose(0, 1)
    return weight, silence[0, :, centre, centre]


@dataclass(frozen=True)
class FusedGenotype:
    """What :class:`Genotype` says to the forward pass, after some operations took over features from others."""
    blocks: tuple
    global_fusion: tuple


class FusedDeCoNASNet(DeCoNASForward):
    """Exact re-parameterisation of a derived network, made by :meth:`DeCoNASNet.fuse`; inference only.

    - Operations of a layer that read the same feature become one dense convolution where that costs no Mult-Adds: they
      are linear, and the ReLU comes after their mean.
    - The first two convolutions become one 5x5 convolution, and so do the upsampler and the last convolution, on the LR
      grid; a light tail is one convolution already.

    Args:
        net (DeCoNASNet): Trained network; it is copied, not changed.
    """

    def __init__(self, net):
        super().__init__()
        self.genotype = net.genotype
        self.num_feat, self.num_in_ch, self.num_out_ch = net.num_feat, net.num_in_ch, net.num_out_ch
        self.upscale, self.tail_kind, self.residual = net.upscale, net.tail_kind, net.residual
        self.register_buffer('mean', net.mean.clone())
        self.register_buffer('genotype_code', net.genotype_code.clone())
        self.conv_first = copy.deepcopy(net.conv_first)
        self.first_two = ComposedConv(nn.Sequential(net.conv_first, net.conv_second), net.conv_first.in_channels)
        self.blocks = nn.ModuleList(_fuse_block(block) for block in net.blocks)
        self.fused_genotype = _fused_genotype(net.genotype, self.blocks)
        self.transitions = copy.deepcopy(net.transitions)
        self.global_fusion = copy.deepcopy(net.global_fusion)
        self.conv_fusion = copy.deepcopy(net.conv_fusion)
        if net.tail_kind == 'classic':
            self.upsample_last = ComposedConv(nn.Sequential(net.upsample, net.conv_last), net.num_feat, net.upscale)
        else:
            self.upsample = copy.deepcopy(net.upsample)
        self.to(net.mean.device).requires_grad_(False).eval()

    def fuse(self):
        """FusedDeCoNASNet: Itself."""
        return self

    def head(self, x):
        return self.conv_first(x), self.first_two(x)

    def tail(self, x):
        return self.upsample_last(x) if self.tail_kind == 'classic' else self.upsample(x)

    def forward(self, x):
        """Upscale: (N, num_in_ch, H, W) in [0, 1], RGB -> (N, num_out_ch, upscale * H, upscale * W)."""
        return self.run(x, self.fused_genotype)


def _fused_genotype(genotype, blocks):
    fused = tuple(_fused_block(of_block, block) for of_block, block in zip(genotype.blocks, blocks, strict=True))
    return FusedGenotype(fused, genotype.global_fusion)


def _fused_block(genotype, block):
    layer_inputs = list(genotype.layer_inputs)
    for k, layer in block.layers.items():
        layer_inputs[int(k)] = tuple(
            layer.operations[name].inputs if name in layer.operations else () for name in layer.names)
    return replace(genotype, layer_inputs=tuple(layer_inputs))


def _fuse_block(block):
    num_feat = len(block.local_fusion.bias)
    return DenseBlock({k: _fuse_layer(layer, num_feat) for k, layer in block.layers.items()},
                      copy.deepcopy(block.local_fusion))


@torch.no_grad()
def _fuse_layer(layer, num_feat):
    """DenseLayer: The layer after dense convolutions took over the features that they read together with others.

    A feature that only a separable convolution reads stays with it: a dense one would cost more Mult-Adds.
    """
    operations, slices = {}, {}
    for name, weights in layer.operations.items():
        operations[name], slices[name] = weights.operation, weights.slices()
        if weights.operation.fuses_into:
            slices[name] = {feature: {'weight': weights.operation.as_dense({**weights.common, **own})}
                            for feature, own in slices[name].items()}
            operations[name] = build_operation(weights.operation.fuses_into)
    common = {name: weights.common for name, weights in layer.operations.items()}
    biases = {name: weights.bias.clone() for name, weights in layer.operations.items()}
    for taker, giver in permutations(operations, 2):
        for feature in slices[taker].keys() & slices[giver].keys():
            own = operations[taker].as_dense({**common[taker], **slices[taker][feature]})
            other = operations[giver].as_dense({**common[giver], **slices[giver][feature]})
            is_dense = own is not None and own is slices[taker][feature].get('weight')
            if is_dense and other is not None and _has_room(operations[taker], operations[giver]):
                margin = (own.shape[-1] - other.shape[-1]) // 2
                slices[taker][feature] = {'weight': own + F.pad(other, [margin] * 4)}
                del slices[giver][feature]
        if not slices[giver] and giver in biases:
            biases[taker] += biases.pop(giver)
    merged = {name: _joined(operations[name], slices[name], common[name], bias) for name, bias in biases.items()}
    fused = DenseLayer(merged, layer.names, num_feat, divisor=len(operations), attentions=())
    for name in ('attention', 'spatial'):
        if hasattr(layer, name):
            setattr(fused, name, copy.deepcopy(getattr(layer, name)))
    return fused


def _has_room(taker, giver):
    """bool: Whether the taps of one operation's kernel are among those of another's."""
    return giver.kernel_size == 1 or (giver.dilation == taker.dilation and giver.kernel_size <= taker.kernel_size)


def _joined(operation, slices, common, bias):
    weights = JoinedWeights(operation, len(bias), tuple(sorted(slices)))
    parts = [slices[feature] for feature in weights.inputs]
    joined = {key: torch.cat([part[key] for part in parts], dim) for key, dim in operation.joined.items()}
    weights.load({**joined, **{name: common[name] for name in weights.common}}, bias)
    return weights
