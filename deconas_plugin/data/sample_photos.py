"""Training, reward and validation data without any download: photographs that lie inside the scikit-image package."""
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from deconas_plugin.errors import DataError

# No scene is in two splits; both motorcycle photographs show the same one.
TRAIN_PHOTOS = ('brick.png', 'coins.png', 'gravel.png', 'motorcycle_left.png', 'motorcycle_right.png', 'rocket.jpg')
REWARD_PHOTOS = ('camera.png', 'coffee.png')
VAL_PHOTOS = ('astronaut.png', 'chelsea.png')
SUB_IMAGE_SIZE, SUB_IMAGE_STEP = 192, 96  # the photographs are about 500 pixels a side


def photo_folder():
    """Path: Where scikit-image keeps its photographs.

    Raises:
        DataError: They are not there.
    """
    spec = find_spec('skimage')
    if spec is None:
        raise DataError('the sample photographs come with scikit-image, which is not installed: '
                        'pip install scikit-image')
    folder = Path(spec.submodule_search_locations[0], 'data')
    missing = [file for file in TRAIN_PHOTOS + REWARD_PHOTOS + VAL_PHOTOS if not (folder / file).is_file()]
    if missing:
        raise DataError(f'{folder}: {missing[0]} is missing; pip install --force-reinstall scikit-image')
    return folder


@dataclass(frozen=True)
class SamplePhotos:
    """`train` and `reward` are LMDBs of sub-images, `val` is two folders of whole images."""
    train: 'Prepared'  # noqa: F821, of deconas_plugin.data.prepare
    reward: 'Prepared'  # noqa: F821
    val: 'Prepared'  # noqa: F821


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
    # Not above: where photographs are is asked by what runs networks, without BasicSR.
    from deconas_plugin.data.prepare import prepare_sub_images
    from deconas_plugin.data.test_sets import TestPair, prepare_test_pairs
    photos = photo_folder()
    lmdbs = {split: prepare_sub_images([photos / file for file in files], root, scale, name='sample_photos',
                                       split=split, size=SUB_IMAGE_SIZE, step=SUB_IMAGE_STEP, overwrite=True)
             for split, files in (('train', TRAIN_PHOTOS), ('reward', REWARD_PHOTOS))}
    pairs = [TestPair(Path(file).stem, photos / file, None) for file in VAL_PHOTOS]
    return SamplePhotos(**lmdbs, val=prepare_test_pairs(pairs, Path(root, 'val'), scale))
