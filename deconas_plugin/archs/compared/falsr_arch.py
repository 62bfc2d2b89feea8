"""FALSR-A: a network that a search over cells found.

Chu, Zhang, Ma, Xu, Li: Fast, Accurate and Lightweight Super-Resolution with Neural Architecture Search, 2019
(arXiv:1901.07261); the cells and what they read as in the authors' published graph, which computes x2 alone.

Parameters: 320 for the stem; 129,280, 3,120, 138,496, 175,360, 193,792, 16,640 and 230,656 for the cells; 133,664 for
the fusion and 73 for the last convolution: 1,021,401. Mult-Adds @720p: all but the last at the size of LR, 1,019,680 *
230,400 + 72 * 921,600 = 235.0 G; tables print 234.7 G.
"""
import torch
import torch.nn.functional as F
from torch import nn

from deconas_plugin.archs.compared.luminance import LuminanceNet
from deconas_plugin.registration import register_arch

NUM_STEM = 32
NUM_SHUFFLED = 8

# Of each cell: kernel, channels, number of convolutions, whether the output of the first is added to that of the last,
# and what it reads: the stem (-1) or cells.
CELLS = (
    (3, 64, 4, True, (-1, )),
    (1, 48, 1, False, (0, )),
    (3, 64, 4, True, (1, )),
    (3, 64, 4, True, (1, 2)),
    (3, 64, 4, True, (-1, 1, 3)),
    (1, 64, 4, False, (4, )),
    (3, 64, 4, True, (-1, 1, 4, 5)),
)


@register_arch
class FALSR_A(LuminanceNet):
    """FALSR-A, on the luminance of YPbPr.

    Args:
        upscale (int): 2. Default: 2.
    """
    scales = (2, )
    foot, span = 0., 1.

    def __init__(self, upscale=2):
        super().__init__(upscale)
        self.stem = nn.Conv2d(1, NUM_STEM, 3, padding=1)
        num_feats = {-1: NUM_STEM}
        cells = []
        for index, (kernel, num_feat, depth, is_skipped, sources) in enumerate(CELLS):
            cells.append(_Cell(sum(num_feats[source] for source in sources), num_feat, kernel, depth, is_skipped))
            num_feats[index] = num_feat
        self.cells = nn.ModuleList(cells)
        self.fusion = nn.Conv2d(sum(num_feats.values()), NUM_STEM, 3, padding=1)
        self.last = nn.Conv2d(NUM_SHUFFLED, 1, 3, padding=1)

    def run(self, y):
        features = {-1: F.relu(self.stem(y))}
        for index, (cell, (*_, sources)) in enumerate(zip(self.cells, CELLS, strict=True)):
            features[index] = cell(torch.cat([features[source] for source in sources], dim=1))
        x = F.relu(self.fusion(torch.cat(list(features.values()), dim=1)))
        return self.last(_depth_to_space(x + features[-1], self.upscale))


class _Cell(nn.Module):

    def __init__(self, num_in, num_feat, kernel, depth, is_skipped):
        super().__init__()
        self.is_skipped = is_skipped
        self.convs = nn.ModuleList(nn.Conv2d(num_feat if index else num_in, num_feat, kernel, padding=kernel // 2)
                                   for index in range(depth))

    def forward(self, x):
        outputs = []
        for conv in self.convs:
            x = F.relu(conv(x))
            outputs.append(x)
        return outputs[0] + x if self.is_skipped else x


def _depth_to_space(x, scale):
    """Tensor: As TensorFlow orders the channels: the place first, then the channel; PyTorch has it the other way."""
    number, channels, height, width = x.shape
    x = x.view(number, scale**2, channels // scale**2, height, width).transpose(1, 2)
    return F.pixel_shuffle(x.reshape(number, channels, height, width), scale)
