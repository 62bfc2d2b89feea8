"""Shows that an installed plugin works: imports, searches for seconds, upscales with a network of the zoo.

    <environment>/bin/python tests/smoke.py

Takes what this Python has installed, wherever this file lies, and the command that lies beside this Python.
Prints the versions that it ran with; any failure ends it with exit code 1.
"""
import os
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import cv2
import torch
from lmdb_fixture import photo_like
from small_run import small_search, write_options

import deconas_plugin
from deconas_plugin.files.paths import project_root


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        os.chdir(folder)
        run(folder, 'search', '-opt', write_options(folder, small_search(folder, 'smoke')))
        assert (project_root() / 'experiments' / 'smoke' / 'derived' / 'genotype.yml').is_file()
        cv2.imwrite(str(folder / 'photo.png'), photo_like(40, 60, seed=1))
        run(folder, 'upscale', 'photo.png', 'photo_x2.png', '--weights', 'DeCoNASNet_x2_24G')
        assert cv2.imread(str(folder / 'photo_x2.png')).shape == (80, 120, 3)
    packages = ('torch', 'torchvision', 'basicsr', 'numpy', 'opencv-python')
    print('installed and working:', ', '.join(f'{name} {version(name)}' for name in packages),
          f'on {torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"}, '
          f'from {Path(deconas_plugin.__file__).parent}')


def run(folder, command, *arguments):
    process = subprocess.run([Path(sys.executable).parent / 'deconas', command, *map(str, arguments)], cwd=folder,
                             capture_output=True, text=True)
    if process.returncode:
        sys.exit(f'deconas {command} ended with exit code {process.returncode}:\n{process.stdout}\n{process.stderr}')


if __name__ == '__main__':
    main()
