"""Does training work on this machine's device: what it computes against the CPU, and what a run promises."""
import contextlib
import io
import json
import platform
import shutil
import tempfile
import time
from dataclasses import asdict
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from deconas_plugin import __version__
from deconas_plugin.doctor.file_checks import check_file
from deconas_plugin.doctor.process_proof import prove_processes
from deconas_plugin.doctor.proofs import (
    Check,
    measure_speed,
    precisions_of,
    prove_backends,
    prove_compiled_steps,
    prove_forward,
    prove_training_steps,
)
from deconas_plugin.doctor.run_proofs import prove_patches, prove_resume, prove_time_limit, write_images
from deconas_plugin.files.atomic import explained, save_text
from deconas_plugin.files.paths import project_root
from deconas_plugin.machine.console import quiet_console
from deconas_plugin.machine.device import choose_device, device_name, free_memory

PACKAGES = ('torch', 'torchvision', 'basicsr', 'numpy', 'opencv-python', 'lmdb')
OPTIONAL = ('openvino', 'onnx', 'onnxruntime')


def examine(device, out=None, option_file=None):
    """Check a device, and an option file.

    Args:
        device (torch.device): What is examined.
        out (str | Path | None): JSON file to write.
        option_file (str | Path | None): See :func:`check_file`.

    Returns:
        dict: ``machine``, ``seconds``, ``checks`` (list[Check]) and ``healthy`` (bool).

    Raises:
        StorageError: The file cannot be written.
    """
    quiet_console()
    machine = _machine(device)
    started = time.monotonic()
    checks = [] if option_file is None else check_file(option_file)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        folder = Path(folder)
        data = write_images(folder)
        for name, proof in {
                'forward pass': prove_forward, 'training steps': prove_training_steps,
                'compiled steps': prove_compiled_steps, 'backends': prove_backends,
                'two processes': prove_processes, 'patches cut on the device': partial(prove_patches, data=data),
                'a run that was interrupted': partial(prove_resume, data=data, folder=folder),
                'time limit': partial(prove_time_limit, data=data, folder=folder), 'speed': measure_speed}.items():
            checks += _checks(name, proof, device)
    report = {'machine': machine, 'seconds': round(time.monotonic() - started, 1), 'checks': checks,
              'healthy': all(check.holds is not False for check in checks)}
    if out is not None:
        save_report(report, out)
    return report


def _checks(name, proof, device):
    """Iterator[Check]: Those of a proof; where it breaks off, one that says so."""
    try:
        yield from proof(device)
    except Exception as error:  # noqa: BLE001, whatever is broken here, the rest shall be checked
        yield Check(name, False, f'{type(error).__name__}: {" ".join(str(error).split())[:200]}')


def _machine(device):
    """dict[str, str]: What a bug report should say of it."""
    machine = {'device': device_name(device), 'processor': device_name(torch.device('cpu')),
               'threads': str(torch.get_num_threads()), 'precisions': ' '.join(precisions_of(device)),
               'free memory': _gibibytes(free_memory(torch.device('cpu'))),
               'free disk': _gibibytes(shutil.disk_usage(project_root()).free),
               'python': platform.python_version(), 'plugin': __version__,
               **{name: _version(name) or 'unknown' for name in PACKAGES},
               **{name: found for name in OPTIONAL if (found := _version(name))}}
    if device.type == 'cuda':
        machine['cuda'] = torch.version.cuda
        machine['memory'] = _gibibytes(torch.cuda.get_device_properties(device).total_memory)
    return machine


def _gibibytes(number):
    return 'unknown' if number is None else f'{number / 2**30:.1f} GiB'


def save_report(report, out):
    """Write what :func:`examine` returns as JSON.

    Raises:
        StorageError: The file cannot be written.
    """
    with explained(out):
        Path(out).parent.mkdir(parents=True, exist_ok=True)
    save_text(json.dumps({**report, 'checks': [asdict(check) for check in report['checks']]}, indent=1), out)


def to_text(report):
    """str: The report as a table for people."""
    marks = {True: 'ok', False: 'FAILS', None: '-'}
    machine = ', '.join(f'{key} {value}' for key, value in report['machine'].items())
    width = max(len(check.name) for check in report['checks'])
    lines = [f'{marks[check.holds]:5}  {check.name:{width}}  {check.found}' for check in report['checks']]
    verdict = 'All checks hold.' if report['healthy'] else 'Something fails: see above.'
    return '\n'.join([machine, *lines, f'{verdict} {report["seconds"]:.0f} s'])


def _version(package):
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def run_doctor(device=None, out=None, option_file=None):
    """Examine a device and print what was found.

    Args:
        device (str | None): See :func:`choose_device`.
        out, option_file: See :func:`examine`.

    Returns:
        int: 0 if all holds, else 1.
    """
    report = examine(choose_device(device), out, option_file)
    print(to_text(report))
    return 0 if report['healthy'] else 1
