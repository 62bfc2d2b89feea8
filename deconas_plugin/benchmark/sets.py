"""The test sets of a table: below one folder, or where BasicSR's test options say."""
from dataclasses import dataclass
from pathlib import Path

from basicsr.data.paired_image_dataset import PairedImageDataset

from deconas_plugin.data.test_sets import TestPair, find_test_pairs
from deconas_plugin.errors import DataError, OptionError

# How many images a whole set has: a table of a part of it would not compare with anyone's.
PAPER_SETS = {'Set5': 5, 'Set14': 14, 'B100': 100, 'Urban100': 100}
OTHER_NAMES = {'bsd100': 'B100', 'bsds100': 'B100'}


@dataclass(frozen=True)
class TestSet:
    """A test set at one scale.

    Attributes:
        name (str): As in the table's head.
        pairs (list[TestPair]): Its images.
        folder (str): Where it was found.
    """
    __test__ = False  # not a test class, although pytest would think so

    name: str
    pairs: list
    folder: str


def find_test_sets(root, scale, names=tuple(PAPER_SETS), options=()):
    """Find test sets.

    Args:
        root (str | Path): Folder with a folder per test set, in any layout of
            :func:`deconas_plugin.data.test_sets.find_test_pairs`.
        scale (int): 2, 3 or 4.
        names (list[str]): Which sets. 'BSD100' and 'BSDS100' are B100; upper and lower case are one.
        options (list[dict]): BasicSR options whose `datasets` serve sets that `root` does not have.

    Returns:
        tuple: list[TestSet] in the order of the names, and a list of notes: one on the sets that cannot be measured,
        and what is unusual about the others.
    """
    found, missing, notes = [], [], []
    for name in dict.fromkeys(map(canonical_name, names)):
        try:
            test_set = _in_root(root, name, scale) or _in_options(options, name)
        except DataError as error:
            missing.append(f'{name} ({error})')
            continue
        if test_set is None:
            missing.append(f'{name} (no folder {Path(root, name)})')
            continue
        found.append(test_set)
        notes += _remarks(test_set)
    return found, [f'Not measured: {", ".join(missing)}.'] * bool(missing) + notes


def canonical_name(name):
    """str: The table's name of a test set, where it knows one, else the name itself."""
    known = {known.lower(): known for known in PAPER_SETS} | OTHER_NAMES
    return known.get(name.lower(), name)


def _in_root(root, name, scale):
    if not Path(root).is_dir():
        return None
    folders = sorted(path for path in Path(root).iterdir() if path.is_dir() and canonical_name(path.name) == name)
    if not folders:
        return None
    pairs, missing = find_test_pairs(folders[0], scale)
    # What macOS adds to a copied folder is no image of the set.
    missing = {name: reason for name, reason in missing.items() if not name.startswith('._')}
    if missing:
        raise DataError(f'{next(iter(missing.values()))} ({len(missing)} of {len(missing) + len(pairs)} images)')
    return TestSet(name, pairs, str(folders[0]))


def _in_options(options, name):
    datasets = [dataset for opt in options for dataset in opt.get('datasets', {}).values()]
    chosen = [dataset for dataset in datasets if canonical_name(str(dataset.get('name'))) == name]
    if not chosen:
        return None
    dataset = chosen[0]
    for key in ('dataroot_gt', 'dataroot_lq'):
        if not dataset.get(key) or not Path(dataset[key]).expanduser().is_dir():
            raise DataError(f'{key} of the options: no folder {dataset.get(key)}')
    if dataset.get('io_backend', {}).get('type', 'disk') != 'disk':
        raise OptionError(f'datasets: {name}: io_backend.type: expected disk, got {dataset["io_backend"]["type"]}')
    return TestSet(name, _pairs_as_basicsr(dataset), str(dataset['dataroot_gt']))


def _pairs_as_basicsr(dataset):
    """list[TestPair]: The pairs that BasicSR itself would test, by filename_tmpl or meta_info_file."""
    roots = {key: str(Path(dataset[key]).expanduser()) for key in ('dataroot_gt', 'dataroot_lq')}
    try:
        paths = PairedImageDataset({**dataset, **roots, 'io_backend': {'type': 'disk'}}).paths
    except (AssertionError, OSError) as error:
        raise DataError(' '.join(str(error).split())) from error
    return [TestPair(Path(path['gt_path']).stem, Path(path['gt_path']), Path(path['lq_path'])) for path in paths]


def _remarks(test_set):
    expected = PAPER_SETS.get(test_set.name, len(test_set.pairs))
    if len(test_set.pairs) != expected:
        yield f'{test_set.name} in {test_set.folder} has {len(test_set.pairs)} images, the published set {expected}.'
    if any(pair.lr_path is None for pair in test_set.pairs):
        yield f'{test_set.name}: LR images are made from HR as MATLAB does, because {test_set.folder} has none.'
