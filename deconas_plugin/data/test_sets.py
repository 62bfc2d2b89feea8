"""Test sets as they are handed around (Set5, Set14, B100, Urban100, ...) -> the two folders that test options read."""
import re
from dataclasses import dataclass
from pathlib import Path

from deconas_plugin.data.image_io import encode_png, list_images
from deconas_plugin.data.images.reader import MAX_PIXELS
from deconas_plugin.data.prepare import Prepared, find_lr_images, name_images, read_pair
from deconas_plugin.errors import DataError
from deconas_plugin.files.atomic import locked_folder, write_file
from deconas_plugin.machine.parallel import ordered_map, progress


@dataclass(frozen=True)
class TestPair:
    """One image of a test set; `lr_path` None means: make LR by bicubic."""
    __test__ = False  # not a test class, although pytest would think so

    name: str
    hr_path: Path
    lr_path: Path | None


def find_test_pairs(folder, scale, lr_folder=None):
    """Recognise the usual layouts of a test set: `HR` or `GTmod12` beside `LRbicx2` or `LR_bicubic/X2`;
    `image_SRF_2` with `*_SRF_2_HR.png` and `*_SRF_2_LR.png`; `*_HR.png` and `*_LR.png` in one folder; HR images only.

    Args:
        folder (str | Path): The test set's folder.
        lr_folder (str | Path | None): LR images, where they lie somewhere else.

    Returns:
        tuple: list[TestPair], and a dict of the images without LR partner and of files passed over (name -> message).

    Raises:
        DataError: no images, or none for this scale.
    """
    folder = Path(folder)
    hr_folder = _first_folder(folder, f'GTmod{scale}', 'GTmod12', 'HR', 'GT', f'image_SRF_{scale}') or folder
    if not lr_folder and hr_folder != folder:
        lr_folder = _first_folder(folder, f'LRbicx{scale}', f'LR_bicubic/X{scale}')
    skipped = {}
    images = list_images(hr_folder, skipped)
    marked = _marked_pairs(images, scale)
    if marked and not lr_folder:
        pairs, missing = marked
        return pairs, missing | _by_name(skipped)
    named = name_images(images, as_keys=False)
    partners = find_lr_images(named, lr_folder, scale, skipped) if lr_folder else dict.fromkeys(named)
    missing = _by_name(skipped)
    missing |= {name: f'{named[name]}: no LR image {name} or {name}x{scale} in {lr_folder}'
               for name, path in partners.items() if lr_folder and path is None}
    return [TestPair(name, path, partners[name]) for name, path in named.items() if name not in missing], missing


def prepare_test_pairs(pairs, out, scale, *, workers=1, bicubic='basicsr', max_pixels=MAX_PIXELS):
    """Write `GTmod<scale>/NAME.png` and `LRbicx<scale>/NAME.png` into the folder `out`.

    Args:
        pairs (list[TestPair]): The images.
        out (str | Path): The folder of this test set.
        workers (int): Processes.
        bicubic (str): How LR images are made that are not there, see :func:`deconas_plugin.data.bicubic.shrink`.
        max_pixels (int): Larger images are left out. Default: 400 million.

    Returns:
        Prepared: the two folders; broken images are in `skipped`.

    Raises:
        DataError: see its text.
    """
    gt_folder, lr_folder = Path(out, f'GTmod{scale}'), Path(out, f'LRbicx{scale}')
    skipped, notes = {}, []
    with locked_folder(out):
        for target in (gt_folder, lr_folder):
            target.mkdir(exist_ok=True)
            visible = {path.name for path in target.iterdir() if not path.name.startswith('.')}
            strange = visible - {f'{pair.name}.png' for pair in pairs}
            if strange:
                raise DataError(f'{target / min(strange)}: does not belong to this test set; remove it')
        jobs = [(pair, scale, gt_folder, lr_folder, bicubic, max_pixels) for pair in pairs]
        for name, found, error in progress(ordered_map(_write_pair, jobs, workers), len(jobs), f'{out} x{scale}'):
            notes += found
            if error:
                skipped[name] = error
    if len(skipped) == len(pairs):
        raise DataError(f'{next(iter(skipped.values()))}; and no other image is usable')
    return Prepared(gt_folder, lr_folder, skipped, notes)


def _by_name(skipped):
    return {path.name: reason for path, reason in skipped.items()}


def _first_folder(folder, *names):
    return next((folder / name for name in names if (folder / name).is_dir()), None)


def _marked_pairs(images, scale):
    """Pairs told apart by their file names: `baby_HR.png` or `img_001_SRF_2_HR.png`, LR likewise. None: no such."""
    by_stem = {path.stem: path for path in images}
    pairs, missing, other_scales = [], {}, set()
    for stem, path in by_stem.items():
        match = re.fullmatch(r'(.+?)(_SRF_(\d+))?_HR', stem)
        if not match or match[3] not in (None, str(scale)):
            other_scales |= {match[3]} if match else set()
            continue
        lr_path = by_stem.get(f'{stem.removesuffix("_HR")}_LR')
        pairs.append(TestPair(match[1], path, lr_path))
        if lr_path is None:
            missing[match[1]] = f'{path}: no LR image {stem.removesuffix("_HR")}_LR beside it'
    if not pairs and other_scales:  # without this, LR images of the other scale would pass for HR
        found = ', '.join(f'x{other}' for other in sorted(other_scales))
        raise DataError(f'{images[0].parent}: holds pairs for {found} alone; expected x{scale}')
    if not pairs:
        return None
    if len(missing) == len(pairs):  # HR images only: LR is made
        return pairs, {}
    return [pair for pair in pairs if pair.name not in missing], missing


def _write_pair(job):
    pair, scale, gt_folder, lr_folder, bicubic, max_pixels = job
    try:
        hr, lr, notes = read_pair(pair.hr_path, pair.lr_path, scale, scale, bicubic, max_pixels)
    except DataError as error:
        return pair.name, [], str(error)
    write_file(gt_folder / f'{pair.name}.png', encode_png(hr))
    write_file(lr_folder / f'{pair.name}.png', encode_png(lr))
    return pair.name, notes, ''
