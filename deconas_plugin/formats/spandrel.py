"""Lets spandrel, and the tools that load their models with it, recognise and load DeCoNASNet.

    import deconas_plugin.formats.spandrel  # before spandrel: it makes any torchvision importable
    import spandrel
    deconas_plugin.formats.spandrel.install()
    model = spandrel.ModelLoader().load_from_file('DeCoNASNet_x2.safetensors')
"""
try:
    from spandrel import MAIN_REGISTRY, Architecture, ArchSupport, ImageModelDescriptor
except ImportError as error:
    raise ImportError('this integration needs spandrel: pip install spandrel') from error

from deconas_plugin.archs.load import network_from_state
from deconas_plugin.archs.network_options import network_options
from deconas_plugin.errors import DeCoNASError


class DeCoNASArch(Architecture):
    """DeCoNASNet, fused or not, recognised by its tensors."""

    def __init__(self):
        super().__init__(id='DeCoNAS', detect=_is_ours)

    def load(self, state_dict):
        """ImageModelDescriptor: The network of a state dict.

        Raises:
            WeightsError: The state dict is incomplete.
        """
        net = network_from_state(state_dict)
        return ImageModelDescriptor(
            net,
            state_dict,
            architecture=self,
            purpose='SR',
            tags=[f'{net.num_feat}nf', f'{net.genotype.space.num_block}x{net.genotype.space.num_layer} layers'],
            supports_half=True,
            supports_bfloat16=True,
            scale=net.upscale,
            input_channels=net.num_in_ch,
            output_channels=net.num_out_ch)


def install(registry=MAIN_REGISTRY):
    """Register DeCoNASNet in spandrel; again does no harm.

    Args:
        registry (ArchRegistry): Where. Default: where spandrel's own loaders look.
    """
    # Before all others: what matches here is ours, whatever else it resembles.
    others = tuple(support.architecture.id for support in registry if support.architecture.id != 'DeCoNAS')
    registry.add(ArchSupport.from_architecture(DeCoNASArch(), before=others), ignore_duplicates=True)


def _is_ours(state_dict):
    try:
        network_options(state_dict)
    except DeCoNASError:
        return False
    return True
