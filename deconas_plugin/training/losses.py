"""Losses that BasicSR does not have."""
import torch
from basicsr.utils.registry import LOSS_REGISTRY
from torch import nn
from torch.nn import functional as F


@LOSS_REGISTRY.register()
class FrequencyLoss(nn.Module):
    """Mean absolute difference of the Fourier coefficients of two images: what blur costs most.

    The transform is orthonormal, so that the loss is of the size of L1Loss whatever the size of the patches. The
    usual unnormalised one is sqrt(height * width) times as large: its weight 0.05 on patches of 128 is 6.4 here.

    Args:
        loss_weight (float): Factor. Default: 1.0.
    """

    def __init__(self, loss_weight=1.0):
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, pred, target):
        """Tensor: The loss of images (N, C, H, W), in the unit of their values."""
        pred, target = (torch.view_as_real(torch.fft.rfft2(images.float(), norm='ortho')) for images in (pred, target))
        return self.loss_weight * F.l1_loss(pred, target)
