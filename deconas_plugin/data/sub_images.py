"""Cutting an HR/LR pair into overlapping sub-images, as BasicSR's DIV2K recipe does.

HR images are cropped to multiples of 12, the common multiple of x2, x3 and x4: DIV2K already is, and so one set of HR
sub-images serves all scales.
"""
from dataclasses import dataclass
from pathlib import Path

from basicsr.data.transforms import mod_crop

from deconas_plugin.data.bicubic import shrink
from deconas_plugin.data.image_io import encode_png, read_image
from deconas_plugin.data.images.reader import MAX_PIXELS
from deconas_plugin.errors import DataError

HR_MULTIPLE = 12


@dataclass(frozen=True)
class PairJob:
    """One image to cut. `size` and `step` are HR pixels; `lr_path` None means: make LR by `bicubic`, a method
    of :func:`deconas_plugin.data.bicubic.shrink`. `want_hr` and `want_lr` tell which sub-images are still needed."""
    name: str
    hr_path: Path
    lr_path: Path | None
    scale: int
    size: int
    step: int
    bicubic: str
    want_hr: bool
    want_lr: bool
    max_pixels: int = MAX_PIXELS


@dataclass(frozen=True)
class CutPair:
    """The sub-images of one image as (key, PNG bytes), or the reason why there are none."""
    name: str
    hr: list
    lr: list
    notes: list
    error: str = ''


def first_key(name):
    """The key that every image has, however small."""
    return f'{name}_s001'


def read_pair(hr_path, lr_path, scale, multiple, bicubic='basicsr', max_pixels=MAX_PIXELS):
    """Read HR and read or make LR, the latter by a method of :func:`deconas_plugin.data.bicubic.shrink`.

    Returns:
        tuple: HR (h, w, 3) with h and w multiples of `multiple`, LR (h / scale, w / scale, 3), list of notes.

    Raises:
        DataError: a file cannot be read, or the sizes do not belong together.
    """
    hr, note = read_image(hr_path, max_pixels)
    notes = [f'{hr_path}: {note}'] if note else []
    if lr_path is None:
        hr = mod_crop(hr, multiple)
        return hr, shrink(hr, scale, bicubic), notes
    lr, note = read_image(lr_path, max_pixels)
    notes += [f'{lr_path}: {note}'] if note else []
    found, expected = lr.shape[1::-1], (hr.shape[1] // scale, hr.shape[0] // scale)
    if found != expected:
        raise DataError(f'{lr_path}: {found[0]}x{found[1]} pixels; expected {expected[0]}x{expected[1]}, '
                        f'{hr_path} ({hr.shape[1]}x{hr.shape[0]}) shrunk by {scale}')
    return mod_crop(hr, multiple), mod_crop(lr, multiple // scale), notes


def starts(length, size, step):
    """Where the windows begin along one side; the last one ends with the image. A short side has one window."""
    if length <= size:
        return [0]
    regular = list(range(0, length - size + 1, step))
    return regular if regular[-1] + size == length else [*regular, length - size]


def cut(img, name, size, step):
    """Encode the windows of one image, row by row, as (key, PNG bytes) with keys `name_s001`, `name_s002`, ..."""
    corners = [(y, x) for y in starts(img.shape[0], size, step) for x in starts(img.shape[1], size, step)]
    return [(f'{name}_s{i:03d}', encode_png(img[y:y + size, x:x + size])) for i, (y, x) in enumerate(corners, 1)]


def cut_pair(job):
    """Do one job. A broken image is an answer, not an exception, so that the others go on."""
    try:
        hr, lr, notes = read_pair(job.hr_path, job.lr_path, job.scale, HR_MULTIPLE, job.bicubic, job.max_pixels)
    except DataError as error:
        return CutPair(job.name, [], [], [], str(error))
    return CutPair(
        job.name,
        cut(hr, job.name, job.size, job.step) if job.want_hr else [],
        cut(lr, job.name, job.size // job.scale, job.step // job.scale) if job.want_lr else [],
        notes)
