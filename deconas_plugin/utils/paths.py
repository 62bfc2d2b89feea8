"""Where files go and how paths are shown."""
import os
from pathlib import Path


def project_root():
    """Path: Folder of ``experiments`` and ``results``: the checkout, as in BasicSR, or else the current folder."""
    checkout = Path(__file__).resolve().parents[2]
    return checkout if (checkout / 'tools' / 'search.py').is_file() else Path.cwd()


def shown(path):
    """str: The path from the current folder where it lies below it, else the whole path."""
    path = Path(path).resolve()
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
