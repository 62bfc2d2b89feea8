"""Which images to upscale, where the results go, and doing it."""
import glob
import os
import re
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from deconas_plugin.data.images.photo import fill_hidden
from deconas_plugin.data.images.png import PngWriter
from deconas_plugin.data.images.reader import MAX_PIXELS, SUFFIXES, read_photo, scan_folder, sort_out
from deconas_plugin.data.images.writer import WRITTEN, encode_photo, pixels_of
from deconas_plugin.errors import DataError
from deconas_plugin.files.atomic import copy_file, write_file

FILE_ENDING = re.compile(r'\.[A-Za-z][A-Za-z0-9]{0,4}')


@dataclass(frozen=True)
class Job:
    """One image.

    Attributes:
        source (Path): The image.
        target (Path): The file that is to be written; its ending tells the format.
    """
    source: Path
    target: Path


@dataclass
class Outcome:
    """What became of the jobs.

    Attributes:
        written, skipped (int): Results that were made; that were there already.
        failed (list[str]): A line for each image that could not be read or written.
    """
    written: int
    skipped: int
    failed: list


def plan_jobs(inputs, output=None, *, suffix=None, ending=None, recursive=False, scale=2):
    """List what is to be done.

    Args:
        inputs (list[str]): Files, folders (the images directly in them) and patterns such as ``photos/*.jpg``.
        output (str | None): A folder, or a file for a single image. Results are named as the images, with the ending
            of their format; where two images differ in their ending alone, by their whole names. Default: beside the
            images, and for a folder beside it.
        suffix (str | None): Put behind the names, or that of the folder beside a folder. Default: ``_x2`` (the scale)
            beside the inputs, else none.
        ending (str | None): Of the results, a key of :data:`WRITTEN`. Default: that of ``output``, else ``.png``.
        recursive (bool): Take the images in subfolders of folders too, into subfolders of the same names.
        scale (int): For the suffix. Default: 2.

    Returns:
        tuple: list[Job] in the order of the inputs, each image once; and a list of lines on what was passed over.

    Raises:
        DataError: An input does not exist, there is nothing to do, the output cannot be written, or a result would
            replace an image.
    """
    found, passed_over = {}, []
    for text in inputs:
        images, skipped = _images(text, recursive)
        passed_over += skipped.values()
        for path in images:
            found.setdefault(path, Path(text) if os.path.isdir(text) else None)
    if output is not None and _is_file_name(output):
        target = _output_file(output, found, suffix, ending)
        return [Job(source, target) for source in found], passed_over
    _check_folder(output)
    suffix = (f'_x{scale}' if output is None else '') if suffix is None else suffix
    jobs = _name_results(found, output, suffix, ending or '.png')
    if output is None or recursive:  # what an earlier run has left is among the images of this one
        results = {os.path.realpath(job.target): job for job in jobs}
        jobs = [job for job in jobs if results.get(os.path.realpath(job.source), job) is job]
    _check_targets(jobs)
    return jobs, passed_over


def run_jobs(jobs, upscaler, overwrite, progress, max_pixels=MAX_PIXELS):
    """Upscale one image after another; a broken one does not stop the others.

    Args:
        jobs (list[Job]): From :func:`plan_jobs`.
        upscaler (Upscaler): The network.
        overwrite (bool): Make results anew that are there already.
        progress (Callable[[int], ContextManager]): Makes a :func:`progress_bar` for so many images.
        max_pixels (int): See :func:`read_photo`.

    Returns:
        Outcome: What became of them.
    """
    todo = [job for job in jobs if overwrite or not job.target.exists()]
    outcome = Outcome(0, len(jobs) - len(todo), [])
    with progress(len(todo)) as show:
        for index, job in enumerate(todo):
            def on_tile(done, total, index=index, name=job.source.name):
                show(index + done / total, name)

            show(index, job.source.name)
            try:
                photo = read_photo(job.source, max_pixels)
                fill_hidden(photo)
                _upscale(job, photo, upscaler, on_tile)
            except DataError as error:
                outcome.failed.append(str(error))
            except OSError as error:
                outcome.failed.append(f'{error.filename or job.target}: cannot write ({error.strerror})')
            else:
                outcome.written += 1
            show(index + 1, '')
    return outcome


def _upscale(job, photo, upscaler, on_tile):
    suffix, folder = job.target.suffix.lower(), job.target.parent
    if suffix == '.png':
        # Strip by strip: the results of large photographs are several times the memory that computing them takes.
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            writer = PngWriter(file, photo, upscaler.scale * len(photo.rgb))
            upscaler.upscale_strips(photo, lambda top, strip: writer.write(top, pixels_of(strip)), on_tile)
            file.seek(0)
            copy_file(file, job.target)
        return
    try:
        content = encode_photo(upscaler.upscale(photo, on_tile), suffix)
    except DataError as error:
        raise DataError(f'{job.source}: {error}') from error
    os.makedirs(folder, exist_ok=True)
    write_file(job.target, content)


def _name_results(found, output, suffix, ending):
    """list[Job]: Of images and the folders that they were found in, or None."""
    homes = {source: _home(source, folder, output, suffix) for source, folder in found.items()}
    stems = Counter((homes[source], source.stem.casefold()) for source in found)
    jobs = []
    for source, folder in found.items():
        name = source.stem if stems[homes[source], source.stem.casefold()] == 1 else source.name
        of_folder = output is None and folder is not None  # which bears the suffix for all that is in it
        jobs.append(Job(source, homes[source] / f'{name}{"" if of_folder else suffix}{ending}'))
    return jobs


def _images(text, recursive):
    """tuple: The images that an input means, and what it passes over."""
    path = Path(text)
    if path.is_dir():
        images, skipped = scan_folder(path, recursive)
    elif path.is_file():
        images, skipped = [path], {}
    else:
        matches = [path] if path.is_symlink() else map(Path, sorted(glob.glob(text, recursive=True)))
        images, skipped = sort_out(match for match in matches if not match.is_dir())
    if not images and not skipped:
        deeper = '' if recursive or not path.is_dir() else '; --recursive looks into subfolders too'
        raise DataError(f'{text}: found no images; expected a file, a folder with images ({" ".join(SUFFIXES)}) or a '
                        f'pattern in quotes{deeper}')
    return images, skipped


def _is_file_name(output):
    """bool: Whether an output is meant as a file: photo_x2.jpg, but neither results nor results.v2/."""
    return not os.path.isdir(output) and not output.endswith(('/', os.sep)) \
        and FILE_ENDING.fullmatch(Path(output).suffix) is not None


def _output_file(output, sources, suffix, ending):
    found = Path(output).suffix.lower()
    if found not in WRITTEN:
        raise DataError(f'{output}: cannot write {found}; expected a name that ends in {" ".join(WRITTEN)}, or a '
                        'folder (one with a dot in its name ends in /)')
    if len(sources) > 1:
        raise DataError(f'{output}: expected a folder for the results of {len(sources)} images')
    if suffix is not None or ending is not None and WRITTEN[ending] != WRITTEN[found]:
        raise DataError(f'{output}: --suffix and --format are for results in a folder, this name says all')
    target = Path(output)
    _check_targets([Job(source, target) for source in sources])
    return target


def _check_folder(output):
    if output is not None and os.path.lexists(output) and not os.path.isdir(output):
        raise DataError(f'{output}: is there already and no folder; choose another output')


def _home(source, folder, output, suffix):
    """Path: The folder of a result."""
    inside = source.parent.relative_to(folder) if folder else Path()
    if output is not None:
        return Path(output) / inside
    if folder is None:
        return source.parent
    folder = folder if folder.name and folder.name != '..' else Path(os.path.abspath(folder))
    return (folder.with_name(f'{folder.name}{suffix}') if suffix else folder) / inside


def _check_targets(jobs):
    sources = {os.path.realpath(job.source) for job in jobs}
    targets = Counter(os.path.realpath(job.target) for job in jobs)
    for job in jobs:
        target = os.path.realpath(job.target)
        if target in sources or targets[target] > 1:
            raise DataError(f'{job.target}: this result would replace another image; choose another output folder, or '
                            'upscale the folders one by one')
