"""What a genotype costs: parameters and Mult-Adds of its derived network, counted without building it.

Mult-Adds are multiply-add pairs of the convolutions for one 1280x720 output image ("Mult-Adds @720p"). Where the scale
does not divide the output, the LR image is the largest that fits (x3: 426x240).
"""
import math
from dataclasses import dataclass
from functools import cached_property

from deconas_plugin.archs.deconas_util import squeezed_channels, upsampling_stages
from deconas_plugin.archs.operations import build_operation
from deconas_plugin.search.genotype import Genotype

OUTPUT_SIZE_720P = (1280, 720)


@dataclass(frozen=True)
class Cost:
    """Parameters and multiply-adds; costs add up.

    Attributes:
        params (int): Trainable parameters.
        mult_adds (int): Multiply-add pairs.
    """
    params: int = 0
    mult_adds: int = 0

    def __add__(self, other):
        return Cost(self.params + other.params, self.mult_adds + other.mult_adds)

    def __mul__(self, times):
        return Cost(self.params * times, self.mult_adds * times)


class ComplexityCounter:
    """Counts the cost of any genotype of a search space.

    Args:
        space (SearchSpace): The search space.
        num_feat, num_in_ch, num_out_ch, upscale (int): The network, as in DeCoNASNet.
    """

    def __init__(self, space, num_feat=64, num_in_ch=3, num_out_ch=3, upscale=2):
        self.space = space
        self.num_feat = num_feat
        self.num_in_ch = num_in_ch
        self.num_out_ch = num_out_ch
        self.upscale = upscale
        width, height = (size // upscale for size in OUTPUT_SIZE_720P)
        self.pixels = width * height

    @classmethod
    def of(cls, net):
        """ComplexityCounter: For the space and sizes of a built DeCoNASSuperNet or DeCoNASNet."""
        return cls(net.space, net.num_feat, net.num_in_ch, net.num_out_ch, net.upscale)

    def count(self, genotype):
        """Cost: Of the network derived from a genotype; only what reaches its output."""
        return self._skeleton + self._block(genotype) * self.space.num_block + self._fusion(genotype.global_fusion)

    @cached_property
    def everything(self):
        """Genotype: The one with every bit set."""
        return Genotype(self.space, (1, ) * self.space.num_bits)

    @cached_property
    def largest(self):
        """Cost: Of the network with everything selected."""
        return self.count(self.everything)

    def searched_params(self, genotype):
        """int: Operation weights of one block that the genotype selects and its output needs, without biases."""
        return self._selected(genotype, self._slices)

    @property
    def searchable_params(self):
        """int: Operation weights of one block with everything selected, without biases."""
        return self.searched_params(self.everything)

    def paper_params(self, genotype):
        """int: As :meth:`searched_params`, by the reference's arithmetic, which misses the pointwise weights of a
        separable convolution: 9C + C of them."""
        return self._selected(genotype, self._paper_slices)

    @staticmethod
    def _selected(genotype, slices):
        return sum(
            len(inputs) * weights for k in genotype.live_layers
            for inputs, weights in zip(genotype.layer_inputs[k], slices, strict=True))

    def _conv(self, weights, biases, pixels):
        # A convolution of stride 1 uses each of its weights once per output pixel, dense or depthwise.
        return Cost(weights + biases, weights * pixels)

    @cached_property
    def _slices(self):
        """list[int]: Weights of every candidate operation for one earlier feature."""
        return [
            sum(map(math.prod, build_operation(name).weight_shapes(self.num_feat).values()))
            for name in self.space.operations
        ]

    @cached_property
    def _paper_slices(self):
        """list[int]: As :attr:`_slices`, but 9C + C for a separable convolution."""
        slices = []
        for name in self.space.operations:
            shapes = build_operation(name).weight_shapes(self.num_feat)
            depthwise = math.prod(shapes['depthwise']) if 'depthwise' in shapes else None
            slices.append(sum(map(math.prod, shapes.values())) if depthwise is None else depthwise + self.num_feat)
        return slices

    @cached_property
    def _attention(self):
        squeezed = squeezed_channels(self.num_feat)
        return (self._conv(self.num_feat * squeezed, squeezed, 1) +
                self._conv(self.num_feat * squeezed, self.num_feat, 1))

    def _fusion(self, inputs):
        return self._conv(len(inputs) * self.num_feat**2, self.num_feat, self.pixels)

    def _block(self, genotype):
        cost = self._fusion(genotype.local_fusion)
        for k in genotype.live_layers:
            cost += self._attention
            for inputs, weights in zip(genotype.layer_inputs[k], self._slices, strict=True):
                if inputs:
                    cost += self._conv(len(inputs) * weights, self.num_feat, self.pixels)
        return cost

    @cached_property
    def _skeleton(self):
        feat, pixels = self.num_feat, self.pixels
        cost = self._conv(9 * self.num_in_ch * feat, feat, pixels)
        cost += self._conv(9 * feat * feat, feat, pixels) * 2  # before the first block, after the global fusion
        for block in range(1, self.space.num_block):
            cost += self._conv((block + 1) * feat * feat, feat, pixels)
        for factor in upsampling_stages(self.upscale):
            cost += self._conv(9 * feat * feat * factor**2, feat * factor**2, pixels)
            pixels *= factor**2
        return cost + self._conv(9 * feat * self.num_out_ch, self.num_out_ch, pixels)
