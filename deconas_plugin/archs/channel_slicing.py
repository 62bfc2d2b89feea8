"""A narrow network inside a wide one: the first channels of every feature."""
from torch.func import functional_call


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
