"""Which layer of a network a runtime cannot take."""
import torch

from deconas_plugin.archs.composed_conv import ComposedConv
from deconas_plugin.archs.deconas_util import ChannelAttention
from deconas_plugin.archs.operation_weights import OperationWeights


class _WithConstants(torch.nn.Module):
    """A module of whose arguments only the first is an input."""

    def __init__(self, module, constants):
        super().__init__()
        self.module = module
        self.constants = constants

    def forward(self, x):
        return self.module(x, *self.constants)


@torch.no_grad()
def refused_layer(net, export):
    """Export the layers of a network one by one.

    Args:
        net (FusedDeCoNASNet): The network.
        export (Callable[[Module, tuple[Tensor]], None]): Raises an error for what it cannot export.

    Returns:
        str: The name and kind of the first that it refuses; 'the network', where it takes each.
    """
    calls, hooks = {}, []
    for name, module in net.named_modules():
        if isinstance(module, (OperationWeights, ChannelAttention, ComposedConv)):
            hooks.append(module.register_forward_hook(
                lambda module, args, _, name=name: calls.update({name: (module, args)})))
    net(torch.rand(1, net.num_in_ch, 16, 12, device=net.mean.device))
    for hook in hooks:
        hook.remove()
    for name, (module, (x, *constants)) in calls.items():
        try:
            export(_WithConstants(module, constants).eval(), (x, ))
        except Exception:  # noqa: BLE001, runtimes have errors of their own
            kind = type(getattr(module, 'operation', module)).__name__
            return f'the layer {name} ({kind})'
    return 'the network'
