"""The one forward pass of derived network and supernet.

Paper: Neural Architecture Search for Image Super-Resolution Using Densely Constructed Search Space: DeCoNAS
(https://arxiv.org/abs/2104.09048).
"""
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn import functional as F

from deconas_plugin.archs.attention import (
    ACTIVATION_FUNCTIONS,
    GAINS,
    HOMOGENEOUS,
    ChannelAttention,
    SpatialAttention,
    activate,
)
from deconas_plugin.errors import OptionError

# 'classic': 3x3 to num_feat * s * s, PixelShuffle, and 3x3 to the colours, x4 in two stages; 'light': LightUpsampler.
TAILS = ('classic', 'light')
# What the network adds its output to: the mean colour ('none'), or the image, interpolated.
RESIDUALS = ('none', 'nearest', 'bilinear', 'bicubic')

DIV2K_RGB_MEAN = (114.356 / 255, 111.561 / 255, 103.154 / 255)


class Features(list):
    """Features that later ones are computed from, each (N, C, H, W)."""

    def __init__(self, features):
        super().__init__(features)
        self._joined = {}

    def keep_joined(self, later):
        """Free what was joined, all but what ``later`` (Iterable[tuple[int]]) will ask for again."""
        self._joined = {inputs: self._joined[inputs] for inputs in self._joined.keys() & set(later)}

    def joined(self, inputs):
        """Tensor: The features ``inputs`` (tuple[int]) joined along the channels, (N, len(inputs) * C, H, W).

        A single one is not copied, and what several operations read is joined once.
        """
        if len(inputs) == 1:
            return self[inputs[0]]
        if inputs not in self._joined:
            self._joined[inputs] = torch.cat([self[i] for i in inputs], dim=1)
        return self._joined[inputs]


class DenseLayer(nn.Module):
    """A layer: the mean of its operations, each over the earlier features that the genotype selects, then attention.

    Args:
        operations (dict[str, OperationWeights]): Those that may read something, by name.
        names (tuple[str]): All candidate operations, in the order of the genotype.
        num_feat (int): Channels.
        divisor (int | None): What the sum of the operations is divided by. Default: their number.
        attentions (tuple[str]): Those that it may be asked for.
    """

    def __init__(self, operations, names, num_feat, divisor=None, attentions=('channel', )):
        super().__init__()
        self.names = names
        self.operations = nn.ModuleDict(operations)
        if {'channel', 'both'} & set(attentions):
            self.attention = ChannelAttention(num_feat)
        if {'spatial', 'both'} & set(attentions):
            self.spatial = SpatialAttention(num_feat)
        self.divisor = divisor

    def forward(self, features, layer_inputs, attention='channel', activation='relu'):
        """Compute the layer.

        Args:
            features (Features): Earlier features after the activation.
            layer_inputs (tuple[tuple[int]]): For every candidate operation the features that it reads.
            attention, activation (str): Of :data:`ATTENTIONS` and :data:`ACTIVATIONS`.

        Returns:
            Tensor: (N, C, H, W), after the activation, so that later layers need no further one.
        """
        outputs = [self.operations[name](features.joined(inputs), inputs)
                   for name, inputs in zip(self.names, layer_inputs, strict=True) if inputs]
        if not outputs:
            return self._attend(features[-1], 1, attention)
        x, scale = sum(outputs[1:], outputs[0]), 1 / (self.divisor or len(outputs))
        function, gain = ACTIVATION_FUNCTIONS[activation], GAINS.get(activation, 1)
        # Factors after the activation are among the few numbers of the attention instead of a pass over the image.
        if activation in HOMOGENEOUS:
            return self._attend(function(x), scale, attention)
        before = scale * gain
        return self._attend(function(x if before == 1 else x * before), 1 / gain, attention)

    def _attend(self, x, scale, attention):
        """The attention of ``scale * x``.

        At first a channel attention halves all channels. The other kinds start with a factor of a half too, so that
        shared weights fit them all.
        """
        if attention == 'channel':
            return self.attention(x, scale)
        if attention == 'both':
            return self.spatial(self.attention(x, scale))
        return self.spatial(x, scale / 2) if attention == 'spatial' else x * (scale / 2)


class DenseBlock(nn.Module):
    """Densely connected network block (DNB): layers, local feature fusion and the residual.

    Args:
        layers (dict[int, DenseLayer]): Layers by position; those that reach the output suffice.
        local_fusion (OperationWeights): 1x1 convolution over block input and layer outputs.
    """

    switched_off = False  # of all blocks, see blocks_off

    def __init__(self, layers, local_fusion):
        super().__init__()
        self.layers = nn.ModuleDict({str(k): layer for k, layer in layers.items()})
        self.local_fusion = local_fusion

    def forward(self, x, genotype):
        """(N, C, H, W) -> (N, C, H, W), through the layers of a BlockGenotype that reach the output."""
        if self.switched_off:
            return x
        features = Features([activate(x, genotype.activation)])
        for k, layer_inputs in enumerate(genotype.layer_inputs):
            # A dead layer's place is kept, so that the numbers of the features stay right.
            live = k in genotype.live_layers
            features.append(self.layers[str(k)](features, layer_inputs, genotype.attention, genotype.activation)
                            if live else None)
            features.keep_joined(inputs for later in genotype.live_layers if later > k
                                 for inputs in genotype.layer_inputs[later])
        features[0] = x
        return x + self.local_fusion(Features(features).joined(genotype.local_fusion), genotype.local_fusion)


@contextmanager
def blocks_off():
    """Context in which every densely connected block of any network returns its input."""
    DenseBlock.switched_off = True
    try:
        yield
    finally:
        DenseBlock.switched_off = False


class Upsampler(nn.Sequential):
    """3x3 convolutions and PixelShuffle: one stage for x2 and x3, two x2 stages for x4. (N,C,H,W) -> (N,C,sH,sW)."""

    def __init__(self, upscale, num_feat):
        stages = []
        for factor in upsampling_stages(upscale):
            stages += [nn.Conv2d(num_feat, num_feat * factor**2, 3, 1, 1), nn.PixelShuffle(factor)]
        super().__init__(*stages)


class LightUpsampler(nn.Sequential):
    """One 3x3 convolution to the colours of the HR pixels, and PixelShuffle: (N,C,H,W) -> (N,num_out_ch,sH,sW)."""

    def __init__(self, upscale, num_feat, num_out_ch):
        upsampling_stages(upscale)  # refuses what is no scale
        super().__init__(nn.Conv2d(num_feat, num_out_ch * upscale**2, 3, 1, 1), nn.PixelShuffle(upscale))


def upsampling_stages(upscale):
    """tuple[int]: The factors of the upsampling stages.

    Raises:
        OptionError: There is no such network.
    """
    stages = {2: (2, ), 3: (3, ), 4: (2, 2)}
    if upscale not in stages:
        raise OptionError(f'upscale: expected 2, 3 or 4, got {upscale!r}')
    return stages[upscale]


def interpolate(x, upscale, mode):
    """Upscale an image by plain interpolation: (N, C, H, W) -> (N, C, upscale * H, upscale * W).

    Args:
        x (Tensor): The image.
        upscale (int): By how much.
        mode (str): One of :data:`RESIDUALS` but 'none'.
    """
    size = {'scale_factor': upscale}
    if torch.compiler.is_compiling():
        # From the factor, a float, torch.export cannot tell that the result fits an upscaled image of any size; other
        # programs want the factor.
        size = {'size': [upscale * side for side in x.shape[2:]]}
    return F.interpolate(x, **size, mode=mode, align_corners=None if mode == 'nearest' else False)


class DeCoNASForward(nn.Module):
    """The forward pass, for any layout of the weights.

    Subclasses own ``mean``, ``blocks``, ``transitions``, ``global_fusion``, ``conv_fusion``, ``upscale``, ``residual``
    and what their :meth:`head` and :meth:`tail` need.
    """

    def head(self, x):
        """(N, num_in_ch, H, W) -> source of the global residual and input of block 1, both (N, C, H, W)."""
        raise NotImplementedError

    def tail(self, x):
        """(N, C, H, W) -> (N, num_out_ch, upscale * H, upscale * W)."""
        raise NotImplementedError

    def run(self, x, genotype):
        """Upscale images with the network that a genotype means.

        Args:
            x (Tensor): LR images, (N, num_in_ch, H, W), [0, 1], RGB.
            genotype (Genotype): A genotype of the space.

        Returns:
            Tensor: (N, num_out_ch, upscale * H, upscale * W), about [0, 1].
        """
        image = x
        shallow, x = self.head(x - self.mean)
        features = [x]
        for index, block in enumerate(genotype.blocks):
            if index:
                x = self.transitions[index - 1](torch.cat(features, dim=1))
            features.append(self.blocks[index](x, block))
        x = self.global_fusion(Features(features).joined(genotype.global_fusion), genotype.global_fusion)
        upscaled = self.tail(self.conv_fusion(x) + shallow)
        if self.residual == 'none':
            return upscaled + self.mean
        return upscaled + interpolate(image, self.upscale, self.residual)


class DeCoNASSkeleton(DeCoNASForward):
    """What derived network and supernet have in common: all but the layout of the searched weights.

    Args:
        space (SearchSpace): Sizes and operations.
        blocks (list[DenseBlock]): One per ``space.num_block``.
        global_fusion (OperationWeights): 1x1 convolution over the input of block 1 and all block outputs.
        num_feat (int): Channels C inside the network.
        num_in_ch, num_out_ch (int): Image channels.
        upscale (int): 2, 3 or 4.
        rgb_mean (tuple[float]): Mean of the image channels in [0, 1], subtracted and added back.
        tail (str): One of :data:`TAILS`.
        residual (str): One of :data:`RESIDUALS`.
    """

    def __init__(self, space, blocks, global_fusion, num_feat, num_in_ch, num_out_ch, upscale, rgb_mean,
                 tail='classic', residual='none'):
        super().__init__()
        for key, value, choices in (('tail', tail, TAILS), ('residual', residual, RESIDUALS)):
            if value not in choices:
                raise OptionError(f'{key}: expected one of {", ".join(choices)}, got {value!r}')
        if not num_in_ch == num_out_ch == len(rgb_mean):
            raise OptionError(f'num_in_ch, num_out_ch, rgb_mean: expected as many means as channels, the same in and '
                              f'out, got {num_in_ch}, {num_out_ch} and {len(rgb_mean)} means')
        self.space = space
        self.num_feat = num_feat
        self.num_in_ch = num_in_ch
        self.num_out_ch = num_out_ch
        self.upscale = upscale
        self.tail_kind = tail
        self.residual = residual
        # Part of the state, because the weights are worth nothing with another mean.
        self.register_buffer('mean', torch.tensor(rgb_mean).view(1, -1, 1, 1))
        self.conv_first = nn.Conv2d(num_in_ch, num_feat, 3, 1, 1)
        self.conv_second = nn.Conv2d(num_feat, num_feat, 3, 1, 1)
        self.blocks = nn.ModuleList(blocks)
        # The input of block b + 1; nothing would use the one after the last block.
        self.transitions = nn.ModuleList(
            nn.Conv2d((block + 1) * num_feat, num_feat, 1) for block in range(1, space.num_block))
        self.global_fusion = global_fusion
        self.conv_fusion = nn.Conv2d(num_feat, num_feat, 3, 1, 1)
        if tail == 'classic':
            self.upsample = Upsampler(upscale, num_feat)
            self.conv_last = nn.Conv2d(num_feat, num_out_ch, 3, 1, 1)
        else:
            self.upsample, self.conv_last = LightUpsampler(upscale, num_feat, num_out_ch), nn.Identity()
        if residual != 'none':
            # Training starts from the interpolated image.
            last = self.conv_last if tail == 'classic' else self.upsample[0]
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    @property
    def widths(self):
        """tuple[int]: All numbers of channels that it can compute with."""
        return self.space.widths or (self.num_feat, )

    def head(self, x):
        shallow = self.conv_first(x)
        return shallow, self.conv_second(shallow)

    def tail(self, x):
        return self.conv_last(self.upsample(x))
