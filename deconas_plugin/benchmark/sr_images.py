"""Super-resolved images that something else made, as a row of the table."""
import re
from pathlib import Path

from deconas_plugin.benchmark.methods import Method
from deconas_plugin.benchmark.sets import canonical_name
from deconas_plugin.data.image_io import read_image
from deconas_plugin.data.images.reader import scan_folder
from deconas_plugin.errors import DataError

# What may follow the name of a test image in a result's name: `baby_x2`, `baby-SR`, `img_001_SRF_2_SRCNN`, `0801x2`.
NAME_ENDING = re.compile(r'(x\d+)?([ ._-].*)?', re.IGNORECASE)
NOT_RESULTS = re.compile(r'.*[ ._-](HR|LR|GT|LQ)', re.IGNORECASE)


class SRFolder(Method):
    """A folder of super-resolved images, ``PATH/<set>/<image><suffix>.png`` or, for one set, ``PATH/<image>...``.

    Args:
        name (str): The method; in a folder that holds several results for an image, those ending in ``_<name>`` count.
        folder (str | Path): The folder.
        test_sets (list[TestSet]): Which images it is about.

    Attributes:
        notes (list[str]): Which sets it does not cover, and why.

    Raises:
        DataError: The folder is missing, holds nothing for any of the sets, or more than one result for an image.
    """
    timed = False

    def __init__(self, name, folder, test_sets):
        super().__init__(name)
        if not Path(folder).is_dir():
            raise DataError(f'--sr-dir: no folder {folder} for {name}')
        self.results, self.notes = {}, []
        for test_set in test_sets:
            found = find_results(_set_folder(folder, test_set.name), [pair.name for pair in test_set.pairs], name)
            missing = [pair.name for pair in test_set.pairs if pair.name not in found]
            if missing:
                self.notes.append(f'{name}: {test_set.name} is empty, {folder} has no result for {missing[0]} '
                                  f'({len(missing)} of {len(test_set.pairs)} images)')
            else:
                self.results[test_set.name] = found
        stats = [(str(path), path.stat()) for found in self.results.values() for path in found.values()]
        self.key = str([(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats])
        self.network = name
        if test_sets and not self.results:
            raise DataError(f'--sr-dir: {"; ".join(self.notes)}; expected files named as the images of the test sets')

    def covers(self, test_set):
        return test_set.name in self.results

    def upscale(self, sample):
        return read_result(self.results[sample.test_set][sample.name], sample)


class SRImage(Method):
    """One super-resolved image.

    Args:
        name (str): The method.
        path (str | Path): The image.
    """
    timed = False

    def __init__(self, name, path):
        super().__init__(name)
        self.path = path

    def upscale(self, sample):
        return read_result(self.path, sample)


def read_result(path, sample):
    """Read a super-resolved image.

    Args:
        path (str | Path): The file.
        sample (Sample): What it was made of.

    Returns:
        ndarray: (scale * h, scale * w, 3), uint8, BGR.

    Raises:
        DataError: It cannot be read or has another size.
    """
    sr, _ = read_image(path)
    if sr.shape != sample.hr.shape:
        found, expected = (f'{width}x{height}' for height, width, _ in (sr.shape, sample.hr.shape))
        raise DataError(f'{path}: expected {expected} pixels as {sample.name} has, cropped to multiples of the scale; '
                        f'got {found}')
    return sr


def find_results(folder, names, method):
    """Match result files to images by name.

    Args:
        folder (str | Path): Where the results lie.
        names (list[str]): The images.
        method (str): Decides where an image has several results: the one that ends in ``_<method>``, else the one named
            just as the image.

    Returns:
        dict[str, Path]: The results that there are, by image.

    Raises:
        DataError: An image has several results.
    """
    candidates = {}
    for path in scan_folder(folder)[0]:
        name = _image_of(path.stem, names)
        if name is not None and not NOT_RESULTS.fullmatch(path.stem):
            candidates.setdefault(name, []).append(path)
    return {name: _choose(paths, name, method) for name, paths in candidates.items()}


def _image_of(stem, names):
    """str | None: The image that a result belongs to: `img_10` is not one of `img_1`, and `a_b` not one of `a`."""
    fitting = [name for name in names if stem.startswith(name) and NAME_ENDING.fullmatch(stem[len(name):])]
    return max(fitting, key=len, default=None)


def _choose(paths, name, method):
    for fits in (lambda stem: stem.lower().endswith(f'_{method.lower()}'), lambda stem: stem == name, lambda _: True):
        chosen = [path for path in paths if fits(path.stem)]
        if len(chosen) == 1:
            return chosen[0]
    raise DataError(f'--sr-dir: {method}: {name} has {len(paths)} results, {paths[0]} and {paths[1].name}; keep one, '
                    'or name the method as the files end')


def _set_folder(folder, test_set):
    """Path: The subfolder of a test set, or the folder itself where there is none."""
    subfolders = [path for path in sorted(Path(folder).iterdir()) if path.is_dir()]
    return next((path for path in subfolders if canonical_name(path.name) == test_set), Path(folder))
