"""Folders of images -> the pair of LMDBs (HR and LR sub-images) that BasicSR trains from."""
import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from basicsr.data.transforms import mod_crop

from deconas_plugin.data.bicubic import shrink
from deconas_plugin.data.image_io import encode_png, list_images, read_image
from deconas_plugin.data.images.reader import MAX_PIXELS
from deconas_plugin.data.lmdb import LmdbWriter, check_entries
from deconas_plugin.errors import DataError
from deconas_plugin.files.atomic import locked_folder
from deconas_plugin.machine.parallel import ordered_map, progress

HR_MULTIPLE = 12
SCALES = (2, 3, 4)


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


@dataclass(frozen=True)
class Prepared:
    """What was made: the HR and LR paths (for `dataroot_gt` and `dataroot_lq`), the images left out and why, and notes
    on the images taken."""
    hr: Path
    lr: Path
    skipped: dict = field(default_factory=dict)
    notes: list = field(default_factory=list)


def prepare_sub_images(images, out, scale, *, name='DIV2K', split='train', lr_folder=None, size=480, step=240,
                       workers=1, overwrite=False, bicubic='basicsr', max_pixels=MAX_PIXELS):
    """Make `<name>_<split>_HR_sub.lmdb` and `<name>_<split>_LR_bicubic_X<scale>_sub.lmdb` in the folder `out`.

    What an earlier run has finished is not done again; the same HR database serves every scale.

    Args:
        images (list[Path]): HR image files; a name without its ending becomes the first part of the keys.
        out (str | Path): Output folder.
        scale (int): 2, 3 or 4.
        lr_folder (str | Path | None): Folder of LR images of the same names (or `0001x2.png`); None makes them by
            bicubic from HR.
        size, step (int): HR pixels, multiples of `scale`; LR sub-images match. An image smaller than `size` becomes
            one smaller sub-image.
        workers (int): Processes.
        overwrite (bool): Replace databases made with other settings.
        bicubic (str): How LR images are made, see :func:`deconas_plugin.data.bicubic.shrink`.
        max_pixels (int): Larger images are left out. Default: 400 million.

    Returns:
        Prepared

    Raises:
        DataError: see its text; broken images are no error but end up in `skipped`, unless all are broken.
    """
    _check_numbers(scale, size, step)
    named = name_images(images)
    lr_images = find_lr_images(named, lr_folder, scale) if lr_folder else dict.fromkeys(named)
    given = [path for path in lr_images.values() if path]
    cutting = {'size': size, 'step': step, 'images': len(named), 'hr_files': _fingerprint(named.values())}
    made = 'bicubic' if bicubic == 'basicsr' else f'bicubic, {bicubic}'
    with locked_folder(out):
        hr = LmdbWriter(Path(out, f'{name}_{split}_HR_sub.lmdb'), cutting, overwrite)
        lr = LmdbWriter(Path(out, f'{name}_{split}_LR_bicubic_X{scale}_sub.lmdb'),
                        {**cutting, 'scale': scale, 'lr_files': _fingerprint(given) if lr_folder else made}, overwrite)
        if hr.whole and lr.whole:
            return Prepared(hr.path, lr.path, {**hr.skipped, **lr.skipped})
        skipped = {key: f'{path}: no LR image {key} or {key}x{scale} in {lr_folder}'
                   for key, path in named.items() if lr_folder and not lr_images[key]}
        jobs = _jobs(named, lr_images, skipped, hr, lr, (scale, size, step, bicubic), max_pixels)
        title = f'{name} {split} x{scale}'
        notes = _write(jobs, hr, lr, skipped, title, workers)
        _finish(hr, lr, skipped, f'{title}, checking', workers)
    return Prepared(hr.path, lr.path, skipped, notes)


def name_images(images, as_keys=True):
    """Map names to the files.

    Args:
        images (list[Path]): The files.
        as_keys (bool): Whether the names become keys of an LMDB. Default: yes.

    Raises:
        DataError: two files get the same name, or one that BasicSR's LMDB keys cannot hold.
    """
    named = {}
    for path in images:
        key = path.stem.replace('.', '_')  # BasicSR ends a key at the first dot
        if as_keys and (not key.isascii() or len(key) > 400):
            raise DataError(f'{path}: LMDB keys are ASCII and short; rename the file')
        if key in named:
            raise DataError(f'{path}: has the same name as {named[key]}; rename or remove one')
        named[key] = path
    return named


def find_lr_images(names, folder, scale, skipped=None):
    """Map each name to its file in an LR folder (`0001.png` or `0001x2.png`), or to None; `skipped` as in
    :func:`list_images`."""
    stems = {path.stem.replace('.', '_'): path for path in list_images(folder, skipped)}
    found = {name: stems.get(name, stems.get(f'{name}x{scale}')) for name in names}
    if not any(found.values()):
        raise DataError(f'{folder}: holds no LR image for any HR image; expected names like {next(iter(names))}.png or '
                        f'{next(iter(names))}x{scale}.png')
    return found


def _check_numbers(scale, size, step):
    if scale not in SCALES:
        raise DataError(f'scale: expected one of {SCALES}, got {scale}')
    if size <= 0 or step <= 0 or size % scale or step % scale:
        raise DataError(f'size and step: expected positive multiples of the scale {scale}, got {size} and {step}')


def _fingerprint(paths):
    """A short text that changes when a file is added, removed or rewritten."""
    stats = [(path, path.stat()) for path in paths]
    lines = [f'{path.name} {stat.st_size} {stat.st_mtime_ns}' for path, stat in stats]
    return hashlib.sha256('\n'.join(lines).encode()).hexdigest()[:16]


def _jobs(named, lr_images, skipped, hr, lr, cutting, max_pixels):
    """What is not finished yet: an interruption may have left an image in one database only."""
    hr_keys, lr_keys = set(hr.keys()), set(lr.keys())
    jobs = [PairJob(name, path, lr_images[name], *cutting,
                    want_hr=not hr.whole and first_key(name) not in hr_keys,
                    want_lr=not lr.whole and first_key(name) not in lr_keys, max_pixels=max_pixels)
            for name, path in named.items() if name not in skipped]
    return [job for job in jobs if job.want_hr or job.want_lr]


def _write(jobs, hr, lr, skipped, title, workers):
    """Cut the images into the unfinished databases; adds broken ones to `skipped`, returns notes."""
    notes = []
    for pair in progress(ordered_map(cut_pair, jobs, workers), len(jobs), title):
        if pair.error:
            skipped[pair.name] = pair.error
        if pair.hr:
            hr.add(pair.hr)
        if pair.lr:
            lr.add(pair.lr)
        notes += pair.notes
    return notes


def _finish(hr, lr, skipped, title, workers):
    """Open every entry, compare the key sets, and only then give the databases their names."""
    hr_keys, lr_keys = hr.keys(), lr.keys()
    if not hr_keys or not lr_keys:
        raise DataError(f'{next(iter(skipped.values()))}; and no other image is usable')
    only = sorted(set(hr_keys) ^ set(lr_keys))
    if only:
        raise DataError(f'{hr.folder} and {lr.folder} hold different images, for example {only[0]}; '
                        'prepare both anew (--overwrite)')
    todo = [writer for writer in (hr, lr) if not writer.whole]
    chunks = [(writer.folder, keys[i:i + 64]) for writer in todo
              for keys in [writer.keys()] for i in range(0, len(keys), 64)]
    shapes = {writer.folder: [] for writer in todo}
    checked = progress(ordered_map(check_entries, chunks, workers), len(chunks), title)
    for (folder, _), found in zip(chunks, checked, strict=True):
        shapes[folder] += found
    for writer in todo:
        writer.finish(shapes[writer.folder], skipped)
