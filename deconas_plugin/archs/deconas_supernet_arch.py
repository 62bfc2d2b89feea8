"""The supernet: all networks of the search space with shared weights."""
import torch
from torch import nn

from deconas_plugin.archs.deconas_arch import DeCoNASNet
from deconas_plugin.archs.forward import DIV2K_RGB_MEAN, DeCoNASSkeleton, DenseBlock, DenseLayer
from deconas_plugin.archs.initial_weights import initialise
from deconas_plugin.archs.operation_weights import ChannelSlicing, JoinedWeights, SlicedWeights
from deconas_plugin.registration import register_arch
from deconas_plugin.space.spaces import build_space, complete


@register_arch
class DeCoNASSuperNet(DeCoNASSkeleton):
    """Weight-sharing supernet. It has no state but its weights: the genotype is an argument of the forward pass.

    Every (layer, operation, earlier feature) owns a weight slice; what a genotype does not select is not computed and
    gets no gradient.

    Where the width is searched, a genotype uses the first channels of every feature. What lies beyond them is not
    computed either, but unlike an operation that is not selected it belongs to tensors that are used: its gradient is
    zero, not none, so that the momentum of an optimizer still moves it, and where processes train different widths,
    those that lack a channel count in the mean of its gradient.

    What is a list of values is chosen by the search, anything else is fixed. What is left out is as the named space
    says.

    Args:
        num_in_ch (int): Channels of the input image. Default: 3.
        num_out_ch (int): Channels of the output image. Default: 3.
        num_feat (int | list[int]): Channels inside the network, or 2, 4 or 8 numbers of them, ascending, among which
            the search chooses.
        num_block (int | list[int]): Densely connected blocks, or 2, 4 or 8 numbers of them to choose from.
        num_layer (int | list[int]): Layers in a block, or 2, 4 or 8 numbers of them to choose from.
        upscale (int): 2, 3 or 4. Default: 2.
        operations (tuple[str]): Candidate operations.
        search_fusion (bool): Whether local and global feature fusion are searched too. Default: False.
        share_blocks (bool): Whether all blocks are alike; otherwise each has a genotype of its own. Default: True.
        rgb_mean (tuple[float]): Mean of the image channels in [0, 1]. Default: of DIV2K, RGB.
        space (str): 'paper', or 'light': light networks with today's operations. Default: 'paper'.
        attention (str | list[str]): What follows every layer: 'channel' attention, as in the paper, 'spatial', 'both'
            or 'none'; or two or all of them to choose from.
        activation (str | list[str]): 'relu', as in the paper, 'lrelu', 'silu', 'gelu', or 'gelu8', a GELU bent 8 times
            as sharply, as the size of the features wants it; or two or four of them to choose from.
        tail (str): 'classic', as in the paper, or 'light': one 3x3 convolution to num_out_ch * upscale ** 2 channels
            and PixelShuffle, for every scale.
        residual (str): What the network's output is added to: 'none', as in the paper, or the image, upscaled by
            'nearest', 'bilinear' or 'bicubic' interpolation, from which training then starts.
        init (str): Initial weights: as PyTorch draws them ('torch'), or scaled so that layers keep the size of what
            they read ('he'), under which blocks count sooner. Default: 'torch'.

    Raises:
        OptionError: A size or an operation does not fit.
    """

    def __init__(self,
                 num_in_ch=3,
                 num_out_ch=3,
                 num_feat=None,
                 num_block=None,
                 num_layer=None,
                 upscale=2,
                 operations=None,
                 search_fusion=False,
                 share_blocks=True,
                 rgb_mean=DIV2K_RGB_MEAN,
                 space='paper',
                 attention=None,
                 activation=None,
                 tail=None,
                 residual=None,
                 init='torch'):
        options = complete(space, num_feat=num_feat, num_block=num_block, num_layer=num_layer, operations=operations,
                           attention=attention, activation=activation, tail=tail, residual=residual)
        tail, residual = options.pop('tail'), options.pop('residual')
        space = build_space(**options, search_fusion=search_fusion, share_blocks=share_blocks)
        num_feat = space.widths[-1] if space.widths else options['num_feat']
        super().__init__(space, [_shared_block(space, num_feat) for _ in range(space.num_block)],
                         SlicedWeights('conv1x1', num_feat, space.num_block + 1), num_feat, num_in_ch, num_out_ch,
                         upscale, rgb_mean, tail, residual)
        self._options = dict(
            num_in_ch=num_in_ch,
            num_out_ch=num_out_ch,
            num_feat=num_feat,
            num_block=space.num_block,
            num_layer=space.num_layer,
            upscale=upscale,
            operations=space.operations,
            rgb_mean=tuple(rgb_mean),
            tail=tail,
            residual=residual,
            init=init)
        self._slicings = {}
        initialise(self, init)

    def derived_options(self, genotype):
        """dict: What DeCoNASNet is built from for a genotype of ``self.space``."""
        return {'genotype': genotype.connections, **self._options, 'num_feat': genotype.width or self.num_feat,
                'num_block': genotype.num_block, 'num_layer': genotype.num_layer}

    def forward(self, x, genotype):
        """Upscale with the network of a genotype.

        Args:
            x (Tensor): LR images, (N, num_in_ch, H, W), [0, 1], RGB.
            genotype (Genotype): A genotype of ``self.space``.

        Returns:
            Tensor: (N, num_out_ch, upscale * H, upscale * W).
        """
        if self._is_widest(genotype):
            return self.run(x, genotype)
        return self._slicing(genotype.width).call(self, x, genotype.connections)

    def derive(self, genotype):
        """Hand out the network of a genotype, with a copy of its share of the weights.

        Args:
            genotype (Genotype): A genotype of ``self.space``.

        Returns:
            DeCoNASNet: On the same device; computes exactly what ``self(x, genotype)`` computes.
        """
        if not self._is_widest(genotype):
            return self.narrow(genotype.width).derive(genotype.connections)
        net = DeCoNASNet(**self.derived_options(genotype)).to(self.mean.device)
        shared = dict(self.named_modules())
        for name, module in net.named_modules():
            if isinstance(module, JoinedWeights):
                module.load(shared[name].weights(module.inputs), shared[name].bias)
            elif isinstance(module, nn.Conv2d):
                module.load_state_dict(shared[name].state_dict())
        return net

    def narrow(self, width):
        """Hand out the supernet of one width, with a copy of its share of the weights.

        Args:
            width (int): Channels, among those of ``self.space``.

        Returns:
            DeCoNASSuperNet: On the same device, of the same space without the choice of widths.

        Raises:
            GenotypeError: It is not among them.
        """
        net = self._of_width(width).to(self.mean.device)
        net.load_state_dict({**self._slicing(width).parameters(self), 'mean': self.mean})
        return net

    def _is_widest(self, genotype):
        return genotype.width in (None, self.num_feat)

    def _of_width(self, width):
        space = self.space
        sizes = dict(num_feat=width, num_block=space.block_counts or space.num_block,
                     num_layer=space.layer_counts or space.num_layer)
        return DeCoNASSuperNet(**{**self._options, **sizes}, search_fusion=space.search_fusion,
                               share_blocks=space.share_blocks, attention=space.attention, activation=space.activation)

    def _slicing(self, width):
        if width not in self._slicings:
            self.space.width_bits(width)  # refuses what is no choice here
            with torch.device('meta'):
                self._slicings[width] = ChannelSlicing(self._of_width(width))
        return self._slicings[width]


def _shared_block(space, num_feat):
    layers = {}
    for k in range(space.num_layer):
        operations = {name: SlicedWeights(name, num_feat, k + 1) for name in space.operations}
        layers[k] = DenseLayer(operations, space.operations, num_feat, attentions=space.attention)
    return DenseBlock(layers, SlicedWeights('conv1x1', num_feat, space.num_layer + 1))
