"""Training data: patches cut from images that are decoded once."""
from deconas_plugin.data.deconas_patch_dataset import DeCoNASPatchDataset
from deconas_plugin.data.patch_draw import PatchDraw

__all__ = ['DeCoNASPatchDataset', 'PatchDraw']
