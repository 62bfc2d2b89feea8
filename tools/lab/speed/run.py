"""The whole speed benchmark."""
import platform
from pathlib import Path

import torch

from deconas_plugin.commands.speed import EXTRA_PARTS, PARTS
from deconas_plugin.errors import OptionError
from deconas_plugin.files.atomic import explained, save_text
from deconas_plugin.machine.device import device_name, keep_freed_memory, resolve_precision
from deconas_plugin.machine.parallel import progress
from deconas_plugin.machine.timing import MIN_ROUNDS
from tools.lab.speed.backend_speed import auto_speed
from tools.lab.speed.data_speed import data_speed
from tools.lab.speed.limits import machine_rates
from tools.lab.speed.network_speed import compile_speed, growth, inference_speed, training_speed
from tools.lab.speed.results import SpeedReport, to_json, to_markdown
from tools.lab.speed.search_speed import controller_speed, paper_schedule, supernet_speed


def run_speed_benchmark(device, out, parts=PARTS, rounds=5, networks=None):
    """Measure, and write ``<out>.md`` and ``<out>.json``.

    Args:
        device (torch.device): Where.
        out (str): Path of the files, without ending.
        parts (list[str]): Of :data:`PARTS` and :data:`EXTRA_PARTS`. Default: the former.
        rounds (int): How often every run is timed; half as often, but three times, where there are many. Default: 5.
        networks (list[str] | None): As :func:`auto_speed` takes them.

    Returns:
        SpeedReport: What was found.

    Raises:
        StorageError: The files cannot be written.
        OptionError: There are too few rounds, or networks for none of the parts.
    """
    with explained(out):
        Path(out).parent.mkdir(parents=True, exist_ok=True)
    if rounds < MIN_ROUNDS:
        raise OptionError(f'--rounds: expected at least {MIN_ROUNDS}, got {rounds}')
    if networks and 'auto' not in parts:
        raise OptionError('--zoo: only the part auto takes networks; name it with --only auto')
    keep_freed_memory(device)
    precision = resolve_precision(None, device)
    precisions = list(dict.fromkeys(['float32', precision]))
    limits = machine_rates(device, precisions)
    software = f'PyTorch {torch.__version__}, Python {platform.python_version()}'
    report = SpeedReport(device_name(device), software, limits)
    fewer = max(rounds // 2, MIN_ROUNDS)  # of what is about many networks, or hours
    measure = {
        'training': lambda: training_speed(device, precision, limits, rounds),
        'inference': lambda: inference_speed(device, precisions, limits, rounds),
        'compile': lambda: compile_speed(device, precision, rounds),
        'auto': lambda: auto_speed(device, precisions, rounds, networks),
        'supernet': lambda: supernet_speed(device, fewer),
        'controller': lambda: controller_speed(device, rounds),
        'data': lambda: data_speed(device, rounds),
        'growth': lambda: growth(device, fewer),
        'schedule': lambda: paper_schedule(device, fewer),
    }
    chosen = [part for part in PARTS + EXTRA_PARTS if part in parts]
    for work in progress((measure[part]() for part in chosen), len(chosen), 'speed benchmark'):
        report.works.append(work)
        write_report(report, out)
    return report


def write_report(report, out):
    """Write ``<out>.md`` and ``<out>.json``.

    Raises:
        StorageError: They cannot be written.
    """
    for ending, to_text in (('.md', to_markdown), ('.json', to_json)):
        save_text(to_text(report), f'{out}{ending}')
