"""Where the photographs of scikit-image are, and what each is for."""
from importlib.util import find_spec
from pathlib import Path

from deconas_plugin.errors import DataError

# No scene is in two splits; both motorcycle photographs show the same one.
TRAIN_PHOTOS = ('brick.png', 'coins.png', 'gravel.png', 'motorcycle_left.png', 'motorcycle_right.png', 'rocket.jpg')
REWARD_PHOTOS = ('camera.png', 'coffee.png')
VAL_PHOTOS = ('astronaut.png', 'chelsea.png')


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
