"""Training data: patches cut from images that are decoded once."""
from deconas_plugin.data.deconas_patch_dataset import DeCoNASPatchDataset
from deconas_plugin.data.gpu_patch_loader import GpuPatchLoader
from deconas_plugin.data.patch_draw import PatchDraw
from deconas_plugin.data.resumable_sampler import ResumableSampler

__all__ = ['DeCoNASPatchDataset', 'GpuPatchLoader', 'PatchDraw', 'ResumableSampler']
