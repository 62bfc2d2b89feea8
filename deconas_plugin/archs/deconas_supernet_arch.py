"""The supernet: all networks of the search space with shared weights."""
from basicsr.utils.registry import ARCH_REGISTRY
from torch import nn

from deconas_plugin.archs.deconas_arch import DeCoNASNet
from deconas_plugin.archs.deconas_util import DIV2K_RGB_MEAN, DeCoNASSkeleton, DenseBlock, DenseLayer
from deconas_plugin.archs.operation_weights import JoinedWeights, SlicedWeights
from deconas_plugin.search.search_space import PAPER_OPERATIONS, SearchSpace


@ARCH_REGISTRY.register()
class DeCoNASSuperNet(DeCoNASSkeleton):
    """Weight-sharing supernet. It has no state but its weights: the genotype is an argument of the forward pass.

    Every (layer, operation, earlier feature) owns a weight slice; what a genotype does not select is not computed and
    gets no gradient.

    Args:
        num_in_ch (int): Channels of the input image. Default: 3.
        num_out_ch (int): Channels of the output image. Default: 3.
        num_feat (int): Channels inside the network. Default: 64.
        num_block (int): Densely connected blocks. Default: 4.
        num_layer (int): Layers in a block. Default: 4.
        upscale (int): 2, 3 or 4. Default: 2.
        operations (tuple[str]): Candidate operations. Default: the paper's.
        search_fusion (bool): Whether local and global feature fusion are searched too. Default: False.
        share_blocks (bool): Whether all blocks are alike; otherwise each has a genotype of its own. Default: True.
        rgb_mean (tuple[float]): Mean of the image channels in [0, 1]. Default: of DIV2K, RGB.

    Raises:
        OptionError: A size or an operation does not fit.
    """

    def __init__(self,
                 num_in_ch=3,
                 num_out_ch=3,
                 num_feat=64,
                 num_block=4,
                 num_layer=4,
                 upscale=2,
                 operations=PAPER_OPERATIONS,
                 search_fusion=False,
                 share_blocks=True,
                 rgb_mean=DIV2K_RGB_MEAN):
        space = SearchSpace(num_block, num_layer, operations, search_fusion, share_blocks)
        super().__init__(space, [_shared_block(space, num_feat) for _ in range(num_block)],
                         SlicedWeights('conv1x1', num_feat, num_block + 1), num_feat, num_in_ch, num_out_ch, upscale,
                         rgb_mean)
        self.derived_options = dict(
            num_in_ch=num_in_ch,
            num_out_ch=num_out_ch,
            num_feat=num_feat,
            num_block=num_block,
            num_layer=num_layer,
            upscale=upscale,
            operations=tuple(operations),
            rgb_mean=tuple(rgb_mean))

    def forward(self, x, genotype):
        """Upscale with the network of a genotype.

        Args:
            x (Tensor): LR images, (N, num_in_ch, H, W), [0, 1], RGB.
            genotype (Genotype): A genotype of ``self.space``.

        Returns:
            Tensor: (N, num_out_ch, upscale * H, upscale * W).
        """
        return self.run(x, genotype)

    def derive(self, genotype):
        """Hand out the network of a genotype, with a copy of its share of the weights.

        Args:
            genotype (Genotype): A genotype of ``self.space``.

        Returns:
            DeCoNASNet: On the same device; computes exactly what ``self(x, genotype)`` computes.
        """
        net = DeCoNASNet(genotype, **self.derived_options).to(self.mean.device)
        shared = dict(self.named_modules())
        for name, module in net.named_modules():
            if isinstance(module, JoinedWeights):
                module.load(shared[name].weights(module.inputs), shared[name].bias)
            elif isinstance(module, nn.Conv2d):
                module.load_state_dict(shared[name].state_dict())
        return net


def _shared_block(space, num_feat):
    layers = {}
    for k in range(space.num_layer):
        operations = {name: SlicedWeights(name, num_feat, k + 1) for name in space.operations}
        layers[k] = DenseLayer(operations, space.operations, num_feat)
    return DenseBlock(layers, SlicedWeights('conv1x1', num_feat, space.num_layer + 1))
