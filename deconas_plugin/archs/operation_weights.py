"""Two layouts of an operation's weights: one slice per feature (supernet), or joined (derived network)."""
import math
from abc import ABC, abstractmethod

import torch
from torch import nn
from torch.func import functional_call

from deconas_plugin.archs.operations import build_operation


class OperationWeights(nn.Module, ABC):
    """An operation with its weights. The layouts differ in what :meth:`weights` hands out, all else is one code.

    Args:
        operation (str | Operation): Registered name, or the operation.
        num_feat (int): Channels C of a feature.
    """

    def __init__(self, operation, num_feat):
        super().__init__()
        self.operation = build_operation(operation) if isinstance(operation, str) else operation
        self.bias = nn.Parameter(torch.zeros(num_feat))

    @abstractmethod
    def weights(self, inputs):
        """dict[str, Tensor]: The weights that read the features ``inputs`` (tuple[int]), joined; and common ones."""

    def forward(self, x, inputs):
        """Apply the operation to the features ``inputs``, concatenated: (N, len(inputs) * C, H, W) -> (N, C, H, W)."""
        return self.operation.forward(x, self.weights(inputs), self.bias)

    @property
    def common(self):
        """dict[str, Tensor]: The weights that all features have in common."""
        return {name: getattr(self, name) for name in self.operation.common_shapes(len(self.bias))}

    def _add_common(self, num_feat):
        for name, shape in self.operation.common_shapes(num_feat).items():
            parameter = nn.Parameter(torch.empty(shape))
            self._reset(name, [parameter], 1)
            setattr(self, name, parameter)

    @torch.no_grad()
    def _reset(self, name, tensors, num_inputs):
        # As nn.Conv2d does with all inputs; the bias belongs to the weight that is named last.
        fan_in = math.prod(tensors[0].shape[1:]) * (1 if self.operation.joined.get(name) == 0 else num_inputs)
        bound = 1 / math.sqrt(fan_in)
        for tensor in (*tensors, self.bias):
            tensor.uniform_(-bound, bound)


class SlicedWeights(OperationWeights):
    """The supernet's layout: every earlier feature owns a slice, so that genotypes share exactly what they share.

    Args:
        num_inputs (int): Earlier features that a genotype may select.
    """

    def __init__(self, operation, num_feat, num_inputs):
        super().__init__(operation, num_feat)
        for name, shape in self.operation.weight_shapes(num_feat).items():
            slices = nn.ParameterList(torch.empty(shape) for _ in range(num_inputs))
            self._reset(name, list(slices), num_inputs)
            setattr(self, name, slices)
        self._add_common(num_feat)

    def weights(self, inputs):
        joined = self.common
        for name, dim in self.operation.joined.items():
            slices = getattr(self, name)
            joined[name] = torch.cat([slices[i] for i in inputs], dim) if len(inputs) > 1 else slices[inputs[0]]
        return joined


class JoinedWeights(OperationWeights):
    """The derived network's layout: one tensor over the selected features.

    Args:
        inputs (tuple[int]): The features that it reads.
    """

    def __init__(self, operation, num_feat, inputs):
        super().__init__(operation, num_feat)
        self.inputs = inputs
        for name, shape in self.operation.weight_shapes(num_feat).items():
            shape = list(shape)
            shape[self.operation.joined[name]] *= len(inputs)
            parameter = nn.Parameter(torch.empty(shape))
            self._reset(name, [parameter], 1)
            setattr(self, name, parameter)
        self._add_common(num_feat)

    def weights(self, inputs):
        return {**{name: getattr(self, name) for name in self.operation.joined}, **self.common}

    @property
    def num_training_only(self):
        """int: Parameters that inference does not need, because the operation fuses into one with fewer."""
        num_feat = len(self.bias)
        trained = sum(map(math.prod, self.operation.weight_shapes(num_feat).values()))
        return len(self.inputs) * (trained - self.operation.num_weights(num_feat))

    def slices(self):
        """dict[int, dict[str, Tensor]]: The weights that read each feature, by feature and name; views. Those in common
        are not among them."""
        chunks = {name: getattr(self, name).chunk(len(self.inputs), dim) for name, dim in self.operation.joined.items()}
        return {f: {name: parts[i] for name, parts in chunks.items()} for i, f in enumerate(self.inputs)}

    @torch.no_grad()
    def load(self, weights, bias):
        """Take over joined weights, as :meth:`weights` gives them, and a bias."""
        self.bias.copy_(bias)
        for name, weight in weights.items():
            getattr(self, name).copy_(weight)


class ChannelSlicing:
    """Cuts the parameters of a narrow network out of a wide one that is built alike.

    Args:
        narrow (DeCoNASSkeleton): The narrow network; its names and shapes count, not its values.
    """

    def __init__(self, narrow):
        self.shapes = {name: parameter.shape for name, parameter in narrow.named_parameters()}

    def parameters(self, wide):
        """dict[str, Tensor]: The narrow network's parameters by name, through which gradients reach the wide one's."""
        return {name: _first_channels(name, parameter, self.shapes[name])
                for name, parameter in wide.named_parameters()}

    def call(self, wide, *args):
        """The output of a wide network when it is called with the narrow one's parameters."""
        return functional_call(wide, self.parameters(wide), args, tie_weights=False)


def _first_channels(name, parameter, shape):
    if name.startswith('transitions.') and parameter.dim() > 1:
        # It reads several features, one after the other. PixelShuffle, in contrast, makes a channel out of neighbours,
        # so that what is first in the upsampler's output is first before it too.
        by_feature = parameter.unflatten(1, (-1, len(parameter)))
        return _prefix(by_feature, (shape[0], by_feature.shape[1], shape[0], *shape[2:])).flatten(1, 2)
    return _prefix(parameter, shape)


def _prefix(tensor, shape):
    for dim, size in enumerate(shape):
        if size < tensor.shape[dim]:
            tensor = tensor.narrow(dim, 0, size)
    return tensor
