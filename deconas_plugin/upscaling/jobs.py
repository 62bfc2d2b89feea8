"""Which images to upscale, and where the results go."""
import glob
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from deconas_plugin.errors import DataError

SUFFIXES = ('.png', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff', '.webp')


@dataclass(frozen=True)
class Job:
    """One image.

    Attributes:
        source (Path): The image.
        target (Path): The PNG that is to be written.
    """
    source: Path
    target: Path


def plan_jobs(inputs, output):
    """List what is to be done.

    Args:
        inputs (list[str]): Files, folders (the images directly in them) and patterns such as ``photos/*.jpg``.
        output (str): A folder, or a ``.png`` file for a single image. Results are named as the images, but end in
            ``.png``; where two images differ in their ending alone, in theirs and ``.png``.

    Returns:
        list[Job]: In the order of the inputs, each image once.

    Raises:
        DataError: An input does not exist, there is nothing to do, or a result would replace an image.
    """
    sources = list(dict.fromkeys(path for text in inputs for path in _images(text)))
    output = Path(output)
    if output.suffix.lower() == '.png' and not output.is_dir():
        if len(sources) > 1:
            raise DataError(f'{output}: expected a folder for the results of {len(sources)} images')
        targets = [output]
    else:
        stems = Counter(source.stem for source in sources)
        targets = [output / f'{source.stem if stems[source.stem] == 1 else source.name}.png' for source in sources]
    taken = {os.path.realpath(source) for source in sources}
    for target in targets:
        if os.path.realpath(target) in taken or targets.count(target) > 1:
            raise DataError(f'{target}: this result would replace another image; choose another output folder, or '
                            'upscale the folders one by one')
    return [Job(source, target) for source, target in zip(sources, targets, strict=True)]


def _images(text):
    path = Path(text)
    if path.is_dir():
        found = sorted(child for child in path.iterdir() if child.suffix.lower() in SUFFIXES and child.is_file())
    elif path.is_file():
        found = [path]
    else:
        found = [Path(match) for match in sorted(glob.glob(text, recursive=True)) if os.path.isfile(match)]
    if not found:
        raise DataError(f'{text}: found no images; expected a file, a folder with images ({" ".join(SUFFIXES)}) or a '
                        'pattern in quotes')
    return found
