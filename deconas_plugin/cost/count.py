"""What a genotype costs: parameters, Mult-Adds and latency of its derived network, counted without building it.

A derived network is a sum of parts, such as one operation over n features, and the cost of every part is counted (or,
for latency, measured) once. So any genotype costs a few additions.

Mult-Adds are multiply-add pairs of the convolutions for one 1280x720 output image ("Mult-Adds @720p"). Where the scale
does not divide the output, the LR image is the largest that fits (x3: 426x240).
"""
import math
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from types import SimpleNamespace

import torch
from torch import nn

from deconas_plugin.archs.attention import KERNEL_SIZE, squeezed_channels
from deconas_plugin.archs.forward import DeCoNASSkeleton
from deconas_plugin.archs.operations import build_operation
from deconas_plugin.space.choices import PAPER_ACTIVATION, PAPER_ATTENTION
from deconas_plugin.space.genotype import Genotype

OUTPUT_SIZE_720P = (1280, 720)


@dataclass(frozen=True)
class Cost:
    """What a network, or a part of it, costs; costs add up, the latency too, where both have one.

    Attributes:
        params (int): Parameters that inference needs.
        mult_adds (int): Multiply-add pairs.
        latency (float | None): Milliseconds on the device of a latency table, where there is one.
    """
    params: int = 0
    mult_adds: int = 0
    latency: float = None

    def __add__(self, other):
        known = None not in (self.latency, other.latency)
        return Cost(self.params + other.params, self.mult_adds + other.mult_adds,
                    self.latency + other.latency if known else None)

    def __mul__(self, times):
        return Cost(self.params * times, self.mult_adds * times, self.latency and self.latency * times)

    def figures(self):
        """dict[str, float]: The costs that are known, by name."""
        return {key: value for key, value in vars(self).items() if value is not None}


class ComplexityCounter:
    """Counts the cost of any genotype of a search space.

    Args:
        space (SearchSpace): The search space; where it has widths, they take the place of num_feat.
        num_feat, num_in_ch, num_out_ch, upscale (int): The network, as in DeCoNASNet.
        latency_table (LatencyTable | None): Measured on the device that matters; needed for latency only.
        tail, residual (str): The network, as in DeCoNASNet. An interpolation has no parameters and no Mult-Adds, as
            these are of convolutions, but takes time.

    Attributes:
        widths (tuple[int]): Numbers of channels that a network may have, ascending.
        num_feat (int): The largest of them.
    """

    def __init__(self, space, num_feat=64, num_in_ch=3, num_out_ch=3, upscale=2, latency_table=None,
                 tail='classic', residual='none'):
        self.space = space
        self.widths = space.widths or (num_feat, )
        self.num_feat = self.widths[-1]
        self.num_in_ch = num_in_ch
        self.num_out_ch = num_out_ch
        self.upscale = upscale
        self.latency_table = latency_table
        self.tail = tail
        self.residual = residual
        width, height = (size // upscale for size in OUTPUT_SIZE_720P)
        self.lr_size = height, width
        self.pixels = width * height
        self._costs = {}

    @classmethod
    def of(cls, net, latency_table=None):
        """ComplexityCounter: For the space and sizes of a built DeCoNASSuperNet or DeCoNASNet."""
        return cls(net.space, net.num_feat, net.num_in_ch, net.num_out_ch, net.upscale, latency_table,
                   net.tail_kind, net.residual)

    def count(self, genotype):
        """Cost: Of the network derived from a genotype; only what reaches its output."""
        parts, num_feat = self.parts(genotype), genotype.width or self.num_feat
        total = sum((self._cost(num_feat, part) * times for part, times in parts.items()), Cost())
        return replace(total, latency=self.latency_table and self.latency_table.predict(parts, genotype.width))

    @staticmethod
    def parts(genotype):
        """Counter: How often each part occurs in the derived network. Parts are

        - ``('skeleton',)``: all that every network of the space has,
        - ``('transition', n)``: 1x1 convolution over n features before a block that not every network has,
        - ``('operation', name, n)``: an operation over n features,
        - ``('join', n)``: n features concatenated for the operations of a layer that read the same,
        - ``('layer', m)``: mean of m operations, and channel attention; ``('layer', m, attention, activation)`` where
          the space has others than the paper's,
        - ``('fusion', n)``: 1x1 convolution over n features.
        """
        space = genotype.space
        parts = Counter({('skeleton', ): 1, ('fusion', len(genotype.global_fusion)): 1})
        parts.update(('transition', block) for block in range(fewest_blocks(space) + 1, genotype.num_block + 1))
        for block, times in Counter(genotype.blocks).items():
            parts['fusion', len(block.local_fusion)] += times
            for k in block.live_layers:
                layer_inputs = block.layer_inputs[k]
                style = (block.attention, block.activation) if has_styles(space) else ()
                parts[('layer', sum(map(bool, layer_inputs)), *style)] += times
                for name, inputs in zip(space.operations, layer_inputs, strict=True):
                    if inputs:
                        parts['operation', name, len(inputs)] += times
                for inputs in set(layer_inputs):
                    if len(inputs) > 1:
                        parts['join', len(inputs)] += times
        return parts

    def every_part(self):
        """list[tuple]: All parts of which networks of the space are made."""
        space = self.space
        longest_fusion = max(space.num_block, space.num_layer) + 1
        styles = list(product(space.attention, space.activation)) if has_styles(space) else [()]
        return [('skeleton', ), *(('transition', n) for n in range(fewest_blocks(space) + 1, space.num_block + 1)),
                *(('fusion', n) for n in range(1, longest_fusion + 1)),
                *(('layer', m, *style) for m in range(len(space.operations) + 1) for style in styles),
                *(('join', n) for n in range(2, space.num_layer + 1)),
                *(('operation', name, n) for name in space.operations for n in range(1, space.num_layer + 1))]

    @cached_property
    def everything(self):
        """Genotype: The one with every bit set, whose network is the largest."""
        return Genotype(self.space, (1, ) * self.space.num_bits)

    @cached_property
    def nothing(self):
        """Genotype: The one without any bit set, whose network is the smallest."""
        return Genotype(self.space, (0, ) * self.space.num_bits)

    @cached_property
    def largest(self):
        """Cost: Of the network with everything selected."""
        return self.count(self.everything)

    def searched_params(self, genotype):
        """float: Weights that the genotype selects and the output needs, without biases, of operations and, where the
        space searches them, fusions. Where blocks share their genotype, they count as one block, and the global fusion,
        of which there is one, as its share of a block."""
        return self._selected(genotype, self._slices(genotype.width or self.num_feat))

    @property
    def searchable_params(self):
        """float: As :meth:`searched_params` with everything selected."""
        return self.searched_params(self.everything)

    def paper_params(self, genotype):
        """float: As :meth:`searched_params`, by the reference's arithmetic, which misses the pointwise weights of a
        separable convolution: 9C + C of them."""
        return self._selected(genotype, self._paper_slices(genotype.width or self.num_feat))

    def _selected(self, genotype, slices):
        blocks = genotype.blocks[:1] if self.space.share_blocks else genotype.blocks
        operations = sum(
            len(inputs) * weights + common for block in blocks for k in block.live_layers
            for inputs, (weights, common) in zip(block.layer_inputs[k], slices, strict=True) if inputs)
        return operations + self._searched_fusion(genotype, blocks) if self.space.search_fusion else operations

    def _searched_fusion(self, genotype, blocks):
        """float: Weights of the 1x1 fusions for the features that the genotype had a choice about."""
        # The last feature is always taken.
        features = sum(len(block.local_fusion) - 1 for block in blocks)
        features += (len(genotype.global_fusion) - 1) * len(blocks) / genotype.num_block
        return features * (genotype.width or self.num_feat)**2

    def _slices(self, num_feat):
        """list[tuple[int, int]]: Weights of every candidate operation for one earlier feature, and in common."""
        operations = map(build_operation, self.space.operations)
        return [(operation.num_weights(num_feat), operation.num_common_weights(num_feat)) for operation in operations]

    def _paper_slices(self, num_feat):
        """list[tuple[int, int]]: As :meth:`_slices`, but 9C + C for a separable convolution."""
        slices = []
        for name, (weights, common) in zip(self.space.operations, self._slices(num_feat), strict=True):
            depthwise = build_operation(name).weight_shapes(num_feat).get('depthwise')
            slices.append((math.prod(depthwise) + num_feat if depthwise else weights, common))
        return slices

    def _cost(self, num_feat, part):
        if (num_feat, part) not in self._costs:
            kind, *arguments = part
            self._costs[num_feat, part] = getattr(self, f'_{kind}')(num_feat, *arguments)
        return self._costs[num_feat, part]

    def _conv(self, weights, biases, pixels):
        # A convolution of stride 1 uses each of its weights once per output pixel.
        return Cost(weights + biases, weights * pixels)

    def _operation(self, feat, name, num_inputs):
        operation = build_operation(name)
        return Cost(operation.num_weights(feat) * num_inputs + operation.num_common_weights(feat) + feat,
                    (operation.mult_adds(feat) * num_inputs + operation.common_mult_adds(feat)) * self.pixels)

    def _join(self, feat, num_inputs):
        return Cost()

    def _layer(self, feat, num_operations, attention='channel', activation='relu'):
        squeezed, cost = squeezed_channels(feat), Cost()
        squeeze, excite = (feat * squeezed, squeezed), (feat * squeezed, feat)
        if attention in ('channel', 'both'):
            cost += self._conv(*squeeze, 1) + self._conv(*excite, 1)
        if attention in ('spatial', 'both'):
            for weights, biases in (squeeze, (KERNEL_SIZE**2 * squeezed, squeezed), excite):
                cost += self._conv(weights, biases, self.pixels)
        return cost

    def _transition(self, feat, num_inputs):
        return self._conv(num_inputs * feat**2, feat, self.pixels)

    def _fusion(self, feat, num_inputs):
        return self._conv(num_inputs * feat**2, feat, self.pixels)

    def _skeleton(self, feat):
        cost = Cost()

        def add(conv, _, output):
            nonlocal cost
            cost += self._conv(conv.weight.numel(), conv.bias.numel(), output.shape[2] * output.shape[3])

        # As it is built; on the meta device nothing is computed.
        with torch.device('meta'):
            net = Skeleton(self, feat)
            for module in net.modules():
                if isinstance(module, nn.Conv2d):
                    module.register_forward_hook(add)
            net(torch.empty(1, self.num_in_ch, *self.lr_size))
        return cost


class Skeleton(DeCoNASSkeleton):
    """What every network of a space has, to be counted and timed: blocks and global fusion pass on what they get.

    Args:
        counter (ComplexityCounter): Space and sizes.
        num_feat (int): Channels.
    """

    def __init__(self, counter, num_feat):
        super().__init__(counter.space, [PassOn() for _ in range(counter.space.num_block)], PassOn(), num_feat,
                         counter.num_in_ch, counter.num_out_ch, counter.upscale, (0.5, ) * counter.num_in_ch,
                         counter.tail, counter.residual)

    def forward(self, x):
        num_block = fewest_blocks(self.space)
        return self.run(x, SimpleNamespace(blocks=(None, ) * num_block, global_fusion=(num_block, )))


class PassOn(nn.Module):
    """In the place of a part that is not counted: gives its input."""

    def forward(self, x, _):
        return x


def fewest_blocks(space):
    """int: Blocks that every network of a space has."""
    return min(space.block_counts, default=space.num_block)


def has_styles(space):
    """bool: Whether a space has other attentions or activations than the paper's."""
    return (space.attention, space.activation) != ((PAPER_ATTENTION, ), (PAPER_ACTIVATION, ))
