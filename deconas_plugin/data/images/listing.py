"""Which files of a folder are images, and which were meant to be."""
from pathlib import Path

from deconas_plugin.data.images.reader import SUFFIXES

# Images of kinds that are not read: their photographs should not be missing without a word.
UNREAD = ('.heic', '.heif', '.hif', '.jxl', '.jxr', '.psd', '.psb', '.tga', '.ico', '.icns', '.svg', '.svgz', '.exr',
          '.hdr', '.pfm', '.pcx', '.dds', '.xcf', '.eps', '.fits', '.dng', '.cr2', '.cr3', '.crw', '.nef', '.nrw',
          '.arw', '.srf', '.sr2', '.raf', '.orf', '.rw2', '.pef', '.srw', '.3fr', '.iiq', '.x3f', '.raw', '.webm',
          '.bpg', '.flif', '.qoi', '.j2c', '.jpf', '.jpm', '.pam', '.sgi', '.xbm', '.xpm', '.wbmp', '.emf', '.wmf')


def scan_folder(folder, recursive=False):
    """Sort out a folder.

    Args:
        folder (str | Path): It exists.
        recursive (bool): Whether its subfolders count, those reached by links not. Default: no.

    Returns:
        tuple: list[Path] of images by name, and dict[Path, str] of what was passed over although it should perhaps
        not have been, with the line that says so. Other files count as none of our business.
    """
    paths = Path(folder).rglob('*') if recursive else Path(folder).iterdir()
    return sort_out(sorted(path for path in paths if path.suffix.lower() in (*SUFFIXES, *UNREAD) and not path.is_dir()))


def sort_out(paths):
    """The same for any files; see :func:`scan_folder`."""
    images, skipped = [], {}
    for path in paths:
        reason = _reason(path)
        if reason:
            skipped[path] = f'{path}: {reason}'
        else:
            images.append(path)
    return images, skipped


def _reason(path):
    if path.name.startswith('._'):
        return 'not an image, but what macOS keeps beside one on foreign disks'
    if not path.exists():
        return 'a link to a file that is not there'
    if path.suffix.lower() in UNREAD:
        return f'{path.suffix} is not read; convert it, to PNG for example'
    return '' if path.is_file() else 'not a file'
