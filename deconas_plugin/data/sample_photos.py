"""Training, reward and validation data without any download: photographs that lie inside the scikit-image package."""
from dataclasses import dataclass
from pathlib import Path

from deconas_plugin.data.photo_folder import REWARD_PHOTOS, TRAIN_PHOTOS, VAL_PHOTOS, photo_folder
from deconas_plugin.data.prepare import Prepared, prepare_sub_images
from deconas_plugin.data.test_sets import TestPair, prepare_test_pairs

SUB_IMAGE_SIZE, SUB_IMAGE_STEP = 192, 96  # the photographs are about 500 pixels a side


@dataclass(frozen=True)
class SamplePhotos:
    """`train` and `reward` are LMDBs of sub-images, `val` is two folders of whole images."""
    train: Prepared
    reward: Prepared
    val: Prepared


def prepare_sample_photos(root='datasets/sample_photos', scale=2):
    """Prepare the photographs; at once if they already are.

    Args:
        root (str | Path): Output folder.
        scale (int): 2, 3 or 4.

    Returns:
        SamplePhotos

    Raises:
        DataError: scikit-image is missing, or `root` cannot be written.
    """
    photos = photo_folder()
    lmdbs = {split: prepare_sub_images([photos / file for file in files], root, scale, name='sample_photos',
                                       split=split, size=SUB_IMAGE_SIZE, step=SUB_IMAGE_STEP, overwrite=True)
             for split, files in (('train', TRAIN_PHOTOS), ('reward', REWARD_PHOTOS))}
    pairs = [TestPair(Path(file).stem, photos / file, None) for file in VAL_PHOTOS]
    return SamplePhotos(**lmdbs, val=prepare_test_pairs(pairs, Path(root, 'val'), scale))
