"""Named parts of a folder of images, given as ranges of image names: `train=0001-0750`."""
import re

from deconas_plugin.errors import DataError


def natural_key(name):
    """Sort key that reads runs of digits as numbers: img_2 before img_10, 1 equal to 0001."""
    return [int(part) if part.isdigit() else part for part in re.split('([0-9]+)', name)]


def select_splits(images, ranges):
    """Choose the images of each split.

    Args:
        images (list[Path]): All images.
        ranges (list[str]): `name=first-last`, both ends included, by image name without its ending.

    Returns:
        dict: split name -> list[Path], in the order given.

    Raises:
        DataError: a range cannot be read, is empty, or overlaps another.
    """
    splits, taken = {}, {}
    for text in ranges:
        match = re.fullmatch(r'(\w+)=([^-]+)-([^-]+)', text, re.ASCII)
        if not match:
            raise DataError(f'--split {text}: expected NAME=FIRST-LAST, for example train=0001-0750')
        split, first, last = match.groups()
        if split in splits:
            raise DataError(f'--split {text}: {split} is given twice')
        chosen = [path for path in images if natural_key(first) <= natural_key(path.stem) <= natural_key(last)]
        if not chosen:
            raise DataError(f'--split {text}: none of the {len(images)} images '
                            f'({images[0].stem} to {images[-1].stem}) is in this range')
        for path in chosen:
            if path in taken:
                raise DataError(f'--split {text}: {path.stem} is also in {taken[path]}')
            taken[path] = split
        splits[split] = chosen
    return splits
