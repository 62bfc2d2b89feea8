"""Which images a dataset has, by name, and which LQ image belongs to which GT image."""
import re
from os import path as osp

from deconas_plugin.data.image_io import list_images
from deconas_plugin.data.image_source import FileImages, LmdbImages, read_meta_info
from deconas_plugin.errors import DataError, OptionError
from deconas_plugin.files.paths import tool_command

_SUB_IMAGE = re.compile(r'_s\d+$')


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


def image_name(key):
    """Name of the image that a sub-image was cut from: ``0001_s012`` belongs to ``0001``."""
    return _SUB_IMAGE.sub('', key)


def select_keys(available, selection):
    """The keys of ``available`` whose image is selected, in their order.

    Args:
        available (list[str]): Keys, e.g. ``['0001_s001', '0001_s002', '0002_s001']``.
        selection (str | list[str]): Names and ranges (both ends included) of images: ``0001-0750``,
            ``img_001-img_050``, ``baboon``, or a list of them.

    Raises:
        OptionError: a part of the selection matches no image.
    """
    parts = [selection] if isinstance(selection, str) else selection
    names = {image_name(key) for key in available}
    chosen = set().union(*(_matches(part, names) for part in parts))
    return [key for key in available if image_name(key) in chosen]


def _matches(part, names):
    if part in names:
        return {part}
    first, dash, last = part.partition('-')
    if dash:
        found = {name for name in names if natural_key(first) <= natural_key(name) <= natural_key(last)}
        if found:
            return found
    raise OptionError(f"keys: '{part}' matches none of the {len(names)} images, "
                      f"which run from '{min(names)}' to '{max(names)}'")


def list_pairs(options):
    """The images of a dataset as two sequences of one order, with a name for each.

    Args:
        options (PatchOptions): Where they lie and which of them to take.

    Returns:
        tuple: LQ images, GT images, LQ paths, GT paths; the paths are what BasicSR calls ``lq_path`` and
        ``gt_path``: keys of an LMDB, files of a folder.

    Raises:
        DataError: nothing is there, or the two sides do not hold the same images.
    """
    if options.backend == 'lmdb':
        return _lmdb_pairs(options)
    return _folder_pairs(options)


def _lmdb_pairs(options):
    lq_sizes, gt_sizes = read_meta_info(options.dataroot_lq), read_meta_info(options.dataroot_gt)
    if lq_sizes.keys() != gt_sizes.keys():
        odd = sorted(lq_sizes.keys() ^ gt_sizes.keys())
        raise DataError(f"{options.dataroot_lq} and {options.dataroot_gt} hold different images: {len(odd)} are in "
                        f"only one of them, the first is '{odd[0]}'; make both with {tool_command('prepare-data')}")
    keys = _selected(list(gt_sizes), options)
    lq = LmdbImages(options.dataroot_lq, lq_sizes, keys)
    gt = LmdbImages(options.dataroot_gt, gt_sizes, keys)
    return lq, gt, keys, keys


def _folder_pairs(options):
    files = _meta_info_names(options) if options.meta_info_file else _folder_names(options)
    by_key = {osp.splitext(osp.basename(file))[0]: file for file in files}
    lq_paths, gt_paths = [], []
    for key in _selected(sorted(by_key), options):
        gt_paths.append(osp.join(options.dataroot_gt, by_key[key]))
        extension = osp.splitext(by_key[key])[1]
        lq_paths.append(osp.join(options.dataroot_lq, options.filename_tmpl.format(key) + extension))
    missing = [path for path in (*gt_paths, *lq_paths) if not osp.isfile(path)]
    if missing:
        raise DataError(f'{missing[0]}: no such file ({len(missing)} of {len(gt_paths)} pairs of images are '
                        'incomplete); check dataroot_lq, dataroot_gt and filename_tmpl')
    return FileImages(lq_paths), FileImages(gt_paths), lq_paths, gt_paths


def _folder_names(options):
    passed_over = {}
    names = [path.name for path in list_images(options.dataroot_gt, passed_over)]
    # Fewer images than the folder seems to hold; what macOS adds to a copied folder is none of them.
    missing = [reason for path, reason in passed_over.items() if not path.name.startswith('._')]
    if missing and not options.skip_broken:
        raise DataError(f'{missing[0]} ({len(missing)} of {len(names) + len(missing)} images); remove it, or set '
                        'on_error: skip')
    return names


def _selected(keys, options):
    return keys if options.keys is None else select_keys(keys, options.keys)


def _meta_info_names(options):
    try:
        with open(options.meta_info_file, encoding='utf-8-sig') as lines:
            names = [line.split()[0] for line in lines if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f'{options.meta_info_file}: not readable ({error}); check meta_info_file') from error
    if not names:
        raise DataError(f'{options.meta_info_file}: names no images; check meta_info_file')
    return names


def check_pair(lq_size, gt_size, path, options):
    """Raise DataError unless the sizes, (height, width) each, of the pair ``path`` serve these options."""
    problem = _misfit(*lq_size, *gt_size, options)
    if problem:
        lq_text, gt_text = ('x'.join(map(str, size)) for size in (lq_size, gt_size))
        raise DataError(f"{options.dataroot_gt}: '{path}' {problem}: LQ {lq_text}, GT {gt_text} (height x width)")


def _misfit(lq_h, lq_w, gt_h, gt_w, options):
    scale = options.scale
    if options.phase == 'train':
        if (gt_h, gt_w) != (lq_h * scale, lq_w * scale):
            return f'does not fit scale {scale} (check scale and dataroot_lq)'
        if min(gt_h, gt_w) < options.largest_gt_size:
            key = 'gt_size' if options.final_gt_size is None else 'final_gt_size'
            return f'is smaller than {key} {options.largest_gt_size} (lower {key}, or leave the image out with keys)'
    # Whole images: GT may have a border that no LQ pixel was made from; BasicSR cuts it off, too.
    elif not (lq_h * scale <= gt_h < lq_h * (scale + 1) and lq_w * scale <= gt_w < lq_w * (scale + 1)):
        return f'does not fit scale {scale} (check scale and dataroot_lq)'
    return None
