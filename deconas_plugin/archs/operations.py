"""Candidate operations: one operation over the concatenation of the features that the genotype selects.

An operation owns no parameters. It says which weights it needs **for one input feature** and along which dimension the
weights of several features are joined, and which weights it has in common for all of them;
:mod:`deconas_plugin.archs.operation_weights` stores them, sliced or merged.
"""
import math
from abc import ABC, abstractmethod

import torch
from mmengine.registry import Registry
from torch.nn import functional as F

from deconas_plugin.errors import OptionError

OPERATIONS = Registry('candidate operation', scope='deconas')


class Operation(ABC):
    """Interface of a candidate operation: n features of ``num_feat`` channels in, one out, same height and width.

    Attributes:
        joined (dict[str, int]): The dimension along which the slices of each weight are concatenated.
        fuses_into (str | None): The registered dense convolution that :meth:`as_dense` makes of it in ``fuse()``, by
            itself, because that costs less than it does in training.
    """
    joined = {}
    fuses_into = None

    @property
    @abstractmethod
    def radius(self):
        """int: How many pixels around its own place an output pixel depends on."""

    @abstractmethod
    def weight_shapes(self, num_feat):
        """dict[str, tuple[int]]: Shape of every weight for one input feature, (out, in, height, width)."""

    def common_shapes(self, num_feat):
        """dict[str, tuple[int]]: Shape of every weight that is there once, whatever features are selected."""
        return {}

    @abstractmethod
    def forward(self, x, weights, bias):
        """Apply the operation.

        Args:
            x (Tensor): Selected features, (N, n * num_feat, H, W).
            weights (dict[str, Tensor]): The joined weights of the n features and those in common, by name.
            bias (Tensor): (num_feat,).

        Returns:
            Tensor: (N, num_feat, H, W).
        """

    def num_weights(self, num_feat):
        """int: Weights for one input feature, without bias; those that inference needs, where these are fewer."""
        return sum(map(math.prod, self.weight_shapes(num_feat).values()))

    def num_common_weights(self, num_feat):
        """int: Weights that all features have in common, without bias."""
        return sum(map(math.prod, self.common_shapes(num_feat).values()))

    def mult_adds(self, num_feat):
        """int: Multiply-adds per output pixel and input feature. A convolution of stride 1, dense or depthwise, uses
        each of its weights once per pixel; override this for anything else."""
        return self.num_weights(num_feat)

    def common_mult_adds(self, num_feat):
        """int: Multiply-adds per output pixel, whatever features are selected; see :meth:`mult_adds`."""
        return self.num_common_weights(num_feat)

    def as_dense(self, weights):
        """The rule for :meth:`DeCoNASNet.fuse`: this operation as one dense convolution.

        Args:
            weights (dict[str, Tensor]): As for :meth:`forward`.

        Returns:
            Tensor | None: (num_feat, n * num_feat, k, k), to be applied with ``self.dilation`` and 'same' padding; k is
            ``self.kernel_size``. None, the default, where there is no such convolution, as with a non-linearity.
        """
        return None


class DenseConv(Operation):
    """Convolution over all channels, with 'same' padding."""
    kernel_size = 3
    dilation = 1
    joined = {'weight': 1}

    @property
    def radius(self):
        return self.kernel_size // 2 * self.dilation

    def weight_shapes(self, num_feat):
        return {'weight': (num_feat, num_feat, self.kernel_size, self.kernel_size)}

    def forward(self, x, weights, bias):
        return F.conv2d(x, weights['weight'], bias, padding=self.radius, dilation=self.dilation)

    def as_dense(self, weights):
        return weights['weight']


class SeparableConv(Operation):
    """Depthwise convolution without bias, then a pointwise one with bias, nothing between."""
    kernel_size = 3
    dilation = 1
    joined = {'depthwise': 0, 'pointwise': 1}

    @property
    def radius(self):
        return self.kernel_size // 2 * self.dilation

    def weight_shapes(self, num_feat):
        return {'depthwise': (num_feat, 1, self.kernel_size, self.kernel_size), 'pointwise': (num_feat, num_feat, 1, 1)}

    def forward(self, x, weights, bias):
        x = F.conv2d(x, weights['depthwise'], padding=self.radius, dilation=self.dilation, groups=x.shape[1])
        return F.conv2d(x, weights['pointwise'], bias)

    def as_dense(self, weights):
        return weights['pointwise'] * weights['depthwise'].transpose(0, 1)


class BlueprintConv(Operation):
    """Blueprint separable convolution (Haase and Amthor, CVPR 2020): pointwise without bias, then depthwise with bias,
    nothing between. However many features it reads, there is one depthwise convolution: a large kernel costs little."""
    kernel_size = 3
    dilation = 1
    joined = {'pointwise': 1}

    @property
    def radius(self):
        return self.kernel_size // 2 * self.dilation

    def weight_shapes(self, num_feat):
        return {'pointwise': (num_feat, num_feat, 1, 1)}

    def common_shapes(self, num_feat):
        return {'depthwise': (num_feat, 1, self.kernel_size, self.kernel_size)}

    def forward(self, x, weights, bias):
        x = F.conv2d(x, weights['pointwise'])
        return F.conv2d(x, weights['depthwise'], bias, padding=self.radius, dilation=self.dilation, groups=x.shape[1])

    def as_dense(self, weights):
        return weights['depthwise'] * weights['pointwise']


@OPERATIONS.register_module(name='conv3x3')
class Conv3x3(DenseConv):
    """3x3 convolution."""


@OPERATIONS.register_module(name='sep_conv3x3')
class SepConv3x3(SeparableConv):
    """3x3 separable convolution."""


@OPERATIONS.register_module(name='dil_conv3x3')
class DilConv3x3(DenseConv):
    """3x3 convolution with dilation 3."""
    dilation = 3


@OPERATIONS.register_module(name='conv1x1')
class Conv1x1(DenseConv):
    """1x1 convolution; local and global feature fusion are this one."""
    kernel_size = 1


@OPERATIONS.register_module(name='sep_conv5x5')
class SepConv5x5(SeparableConv):
    """5x5 separable convolution."""
    kernel_size = 5


@OPERATIONS.register_module(name='dil_conv3x3_d2')
class DilConv3x3D2(DenseConv):
    """3x3 convolution with dilation 2."""
    dilation = 2


@OPERATIONS.register_module(name='dil_sep_conv3x3_d2')
class DilSepConv3x3D2(SeparableConv):
    """3x3 separable convolution with dilation 2."""
    dilation = 2


@OPERATIONS.register_module(name='skip')
class Skip(Operation):
    """The mean of the features and a bias, without weights."""
    kernel_size = 1
    dilation = 1
    radius = 0

    def weight_shapes(self, num_feat):
        return {}

    def forward(self, x, weights, bias):
        return x.unflatten(1, (-1, len(bias))).mean(1) + bias.view(1, -1, 1, 1)


@OPERATIONS.register_module(name='bs_conv3x3')
class BlueprintConv3x3(BlueprintConv):
    """3x3 blueprint separable convolution."""


@OPERATIONS.register_module(name='bs_conv7x7')
class BlueprintConv7x7(BlueprintConv):
    """7x7 blueprint separable convolution: a large field for 49 multiply-adds per channel."""
    kernel_size = 7


@OPERATIONS.register_module(name='rep_conv3x3')
class RepConv3x3(DenseConv):
    """3x3 convolution, trained as the sum of linear branches and used as one.

    The branches are a 3x3 convolution, a pointwise one, and pointwise ones followed by Sobel and Laplacian filters, as
    in the edge-oriented block of ECBSR (Zhang et al., ACM MM 2021) but without their biases. As all of them are linear
    in the weights, these are summed and not the results, so that training takes one convolution too.
    """
    FILTERS = ('pointwise', 'sobel_x', 'sobel_y', 'laplacian')
    joined = {'weight': 1, **dict.fromkeys(FILTERS, 1)}
    fuses_into = 'conv3x3'

    def weight_shapes(self, num_feat):
        return {**super().weight_shapes(num_feat), **dict.fromkeys(self.FILTERS, (num_feat, num_feat, 1, 1))}

    def num_weights(self, num_feat):
        return math.prod(super().weight_shapes(num_feat)['weight'])

    def forward(self, x, weights, bias):
        return F.conv2d(x, self.as_dense(weights), bias, padding=self.radius)

    def as_dense(self, weights):
        dense = weights['weight']
        # Computed where the weights are: a table would be copied there in every step, which no CUDA graph allows.
        x = torch.arange(-1, 2, dtype=dense.dtype, device=dense.device)
        y = x.view(3, 1)
        distance = x.abs() + y.abs()
        filters = {
            'pointwise': distance == 0,
            'sobel_x': (y.abs() - 2) * x,
            'sobel_y': (x.abs() - 2) * y,
            'laplacian': (distance == 1).to(dense.dtype) - 4 * (distance == 0),
        }
        for name in self.FILTERS:
            dense = dense + weights[name] * filters[name]
        return dense


@OPERATIONS.register_module(name='gate_conv3x3')
class GateConv3x3(Operation):
    """Two 3x3 blueprint separable convolutions without bias, of which one gates the other: value * sigmoid(gate)."""
    radius = 1
    joined = {'value': 1, 'gate': 1}

    def weight_shapes(self, num_feat):
        return dict.fromkeys(self.joined, (num_feat, num_feat, 1, 1))

    def common_shapes(self, num_feat):
        return dict.fromkeys(('value_depthwise', 'gate_depthwise'), (num_feat, 1, 3, 3))

    def forward(self, x, weights, bias):
        x = F.conv2d(x, torch.cat([weights['value'], weights['gate']]))
        x = F.conv2d(x, torch.cat([weights['value_depthwise'], weights['gate_depthwise']]), padding=1,
                     groups=x.shape[1])
        value, gate = x.chunk(2, dim=1)
        return value * gate.sigmoid() + bias.view(1, -1, 1, 1)


def build_operation(name):
    """Operation: The registered operation of this name.

    Raises:
        OptionError: There is none.
    """
    if name not in OPERATIONS.module_dict:
        raise OptionError(f'operations: expected names among {", ".join(OPERATIONS.module_dict)}, got {name!r}')
    return OPERATIONS.module_dict[name]()
