"""The derived network: what a genotype says and nothing else."""
import inspect

import torch

from deconas_plugin.archs.forward import DIV2K_RGB_MEAN, DeCoNASSkeleton, DenseBlock, DenseLayer
from deconas_plugin.archs.fused import FusedDeCoNASNet
from deconas_plugin.archs.initial_weights import initialise
from deconas_plugin.archs.network_options import decode_genotype, decode_residual, encode_network, load_pretrained
from deconas_plugin.archs.operation_weights import JoinedWeights
from deconas_plugin.errors import WeightsError
from deconas_plugin.registration import register_arch
from deconas_plugin.space.choices import PAPER_OPERATIONS
from deconas_plugin.space.genotype import Genotype


@register_arch
class DeCoNASNet(DeCoNASSkeleton):
    """Network derived by DeCoNAS, or any other of its search space.

    Its state holds the genotype as bytes, so that weights alone tell the architecture.

    Args:
        genotype (str | Genotype): Its text, a published name, or the path of a ``genotype.yml``. It says attention and
            activation too, where they are not the paper's: ``v2 spatial silu 111 110100 ...``.
        num_in_ch (int): Channels of the input image. Default: 3.
        num_out_ch (int): Channels of the output image. Default: 3.
        num_feat (int): Channels inside the network. Default: 64.
        num_block (int): Densely connected blocks. Default: 4.
        num_layer (int): Layers in a block. Default: 4.
        upscale (int): 2, 3 or 4. Default: 2.
        operations (tuple[str]): Candidate operations in the order of the genotype's bits. Default: the paper's.
        rgb_mean (tuple[float]): Mean of the image channels in [0, 1]. Default: of DIV2K, RGB.
        tail (str): 'classic', as in the paper, or 'light': one 3x3 convolution to num_out_ch * upscale ** 2 channels
            and PixelShuffle, for every scale. Default: 'classic'.
        residual (str): What the network's output is added to: 'none', or the image, upscaled by 'nearest', 'bilinear'
            or 'bicubic' interpolation, from which training then starts. Default: 'none'.
        init (str): Initial weights: as PyTorch draws them ('torch'), or scaled so that layers keep the size of what
            they read ('he'), under which blocks count sooner. Default: 'torch'.
        pretrained (str | None): Weights of the model zoo to start from, by name. All other arguments then follow from
            them; those that are given must agree.

    Raises:
        GenotypeError: The genotype does not fit.
        OptionError: A size does not fit.
        WeightsError: The pretrained weights are missing, damaged, or do not agree.
    """

    def __init__(self,
                 genotype='DeCoNASNet_x2',
                 num_in_ch=3,
                 num_out_ch=3,
                 num_feat=64,
                 num_block=4,
                 num_layer=4,
                 upscale=2,
                 operations=PAPER_OPERATIONS,
                 rgb_mean=DIV2K_RGB_MEAN,
                 pretrained=None,
                 tail='classic',
                 residual='none',
                 init='torch'):
        if pretrained is not None:
            given = dict(genotype=genotype, num_in_ch=num_in_ch, num_out_ch=num_out_ch, num_feat=num_feat,
                         num_block=num_block, num_layer=num_layer, upscale=upscale, operations=operations,
                         rgb_mean=rgb_mean, tail=tail, residual=residual, init=init)
            defaults = inspect.signature(DeCoNASNet).parameters
            given = {key: value for key, value in given.items() if value != defaults[key].default}
            options, state = load_pretrained(pretrained, given)
            self.__init__(**options)
            self.load_state_dict(state)
            return
        genotype = Genotype.parse(genotype, num_block, num_layer, operations, num_feat)
        super().__init__(
            genotype.space, [_derived_block(genotype.space, block, num_feat) for block in genotype.blocks],
            JoinedWeights('conv1x1', num_feat, genotype.global_fusion), num_feat, num_in_ch, num_out_ch, upscale,
            rgb_mean, tail, residual)
        self.genotype = genotype
        self.init = init
        self.register_buffer('genotype_code', encode_network(genotype, residual))
        initialise(self, init)

    def forward(self, x):
        """Upscale: (N, num_in_ch, H, W) in [0, 1], RGB -> (N, num_out_ch, upscale * H, upscale * W)."""
        return self.run(x, self.genotype)

    @property
    def num_params(self):
        """int: Parameters that inference needs: a re-parameterised convolution counts as what it fuses into."""
        saved = sum(module.num_training_only for module in self.modules() if isinstance(module, JoinedWeights))
        return sum(parameter.numel() for parameter in self.parameters()) - saved

    def fuse(self):
        """Merge what is linear, for inference.

        Returns:
            FusedDeCoNASNet: On the same device, with its own copy of the weights; its output differs by rounding only.
        """
        return FusedDeCoNASNet(self)

    def _load_from_state_dict(self, state_dict, prefix, *args):
        # Another genotype often has the same shapes: without this check it would load and compute nonsense.
        code = state_dict.get(prefix + 'genotype_code')
        if code is not None and decode_residual(code) != self.residual:
            raise WeightsError(f'weights: they belong to residual {decode_residual(code)}, but this network has '
                               f'{self.residual}; set network_g.residual to that of the weights')
        if code is not None and not torch.equal(code.cpu(), self.genotype_code.cpu()):
            raise WeightsError(f'weights: they belong to genotype {decode_genotype(code)}, but this network has '
                               f'{self.genotype}; set network_g.genotype to that of the weights')
        super()._load_from_state_dict(state_dict, prefix, *args)


def _derived_block(space, genotype, num_feat):
    names = space.operations
    layers = {}
    for k in genotype.live_layers:
        selected = zip(names, genotype.layer_inputs[k], strict=True)
        operations = {name: JoinedWeights(name, num_feat, inputs) for name, inputs in selected if inputs}
        layers[k] = DenseLayer(operations, names, num_feat, attentions=(genotype.attention, ))
    return DenseBlock(layers, JoinedWeights('conv1x1', num_feat, genotype.local_fusion))
