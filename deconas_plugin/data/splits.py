"""Named parts of a folder of images, by ranges of names (`train=0001-0750`), shares (`train=80%`) or numbers."""
import re

from deconas_plugin.errors import DataError


def natural_key(name):
    """Sort key that reads runs of digits as numbers: img_2 before img_10, 1 equal to 0001."""
    return [int(part) if part.isdigit() else part for part in re.split('([0-9]+)', name)]


def select_splits(images, parts):
    """Choose the images of each split.

    Args:
        images (list[Path]): All images.
        parts (list[str]): `name=first-last`, both ends included, by image name without its ending; or `name=80%` of all
            images or `name=50` images. Shares and numbers follow each other in the order of the names, so that
            photographs of one scene, which mostly lie side by side, end up in one split.

    Returns:
        dict: split name -> list[Path], in the order given.

    Raises:
        DataError: a part cannot be read, is empty, or overlaps another; or there are too few images.
    """
    sizes = [re.fullmatch(r'(\w+)=(\d+)(%?)', text, re.ASCII) for text in parts]
    if any(sizes):
        if not all(sizes):
            raise DataError(f'--split {parts[sizes.index(None)]}: expected shares and numbers only, or ranges only')
        return _by_size(images, [match.groups() for match in sizes])
    splits, taken = {}, {}
    for text in parts:
        match = re.fullmatch(r'(\w+)=([^-]+)-([^-]+)', text, re.ASCII)
        if not match:
            raise DataError(f'--split {text}: expected NAME=FIRST-LAST, NAME=SHARE% or NAME=NUMBER, '
                            'for example train=0001-0750 or train=80%')
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


def _by_size(images, parts):
    """dict: split name -> list[Path], of parts (name, digits, '%' or '')."""
    images = sorted(images, key=lambda path: natural_key(path.stem))
    splits, taken, percent = {}, 0, 0
    for split, size, unit in parts:
        text = f'--split {split}={size}{unit}'
        if split in splits:
            raise DataError(f'{text}: {split} is given twice')
        count = int(size)
        if unit:  # of sums, so that 100 % in all are all images
            percent += count
            count = round(len(images) * percent / 100) - round(len(images) * (percent - count) / 100)
        if not 0 < count <= len(images) - taken:
            raise DataError(f'{text}: asks for {count} of {len(images)} images, of which {taken} are taken')
        splits[split] = images[taken:taken + count]
        taken += count
    return splits
