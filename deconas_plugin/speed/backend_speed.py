"""Speed of the backends: the published network in each beside stock BasicSR, and whether ``auto`` chooses well."""
from contextlib import ExitStack
from itertools import product

import torch
from torch.utils.flop_counter import FlopCounterMode

from deconas_plugin.inference.load import installed_backends, load_backend
from deconas_plugin.speed.jobs import inference
from deconas_plugin.speed.results import Work
from deconas_plugin.speed.timing import OwnProcess, in_turns, ratio, timed
from deconas_plugin.speed.traffic import bytes_beside_convolutions
from deconas_plugin.utils.memory import keep_freed_memory
from deconas_plugin.zoo.catalogue import load_zoo

PUBLISHED = 'DeCoNASNet_x2'
SIZE = (360, 640)  # of the LR image, height and width; a 1280x720 output
AUTO_SIZES = ((180, 320), (360, 640), (720, 1280))


def run_backend(device, backend, precision, weights=PUBLISHED, size=SIZE):
    """Function: One LR image of ``size``, height and width, in a backend, as ``deconas upscale`` runs it."""
    keep_freed_memory(device)
    runner = load_backend(weights, backend, precision, str(device))
    image = torch.rand(1, runner.num_in_ch, *size)
    return lambda: runner(image)


def backend_speed(device, precisions, limits, rounds):
    """Work: A 1280x720 image of the published network in every backend and precision, and as stock BasicSR runs it.

    Args:
        device (torch.device): Where.
        precisions (list[str]): Which.
        limits (dict): As :func:`machine_rates` gives them.
        rounds (int): How often.
    """
    ways = {f'{precision}, {backend}': dict(precision=precision, backend=backend)
            for precision in precisions for backend in installed_backends(device, precision)}
    stock = 'BasicSR: float32, default layout, not fused'
    with ExitStack() as stack:
        runs = {stock: stack.enter_context(OwnProcess(inference, device, memory_format=torch.contiguous_format,
                                                      keep_memory=False))}
        runs |= {name: stack.enter_context(OwnProcess(run_backend, device, **way)) for name, way in ways.items()}
        times = in_turns(runs, rounds, seconds=40)
        memory = {name: run.peak_memory() for name, run in runs.items()}
    work = Work.of('Published network to 1280x720 by backend', times, memory=memory)
    for precision in precisions:
        with FlopCounterMode(display=False) as counter:
            moved = bytes_beside_convolutions(inference(device, precision, fused=True))
        rates = limits[precision]
        least = counter.get_total_flops() / rates['inference'] + moved / rates['inference_bytes']
        best = min((way for way in work.ways if way.name in ways and ways[way.name]['precision'] == precision),
                   key=lambda way: way.seconds)
        work.figures[f'{best.name}, the fastest: share of what operations and bytes allow'] = least / best.seconds
        work.figures[f'{best.name}: times stock BasicSR'] = 1 / best.relative
    return work


def auto_speed(device, precisions, rounds, networks=None, sizes=AUTO_SIZES):
    """Work: Time of ``auto`` over that of the best backend, for networks of the zoo and sizes of the LR image.

    Args:
        device, precisions, rounds: As for :func:`backend_speed`.
        networks (list[str] | None): Names in the model zoo. Default: all.
        sizes (tuple[tuple[int]]): Heights and widths.
    """
    figures = {}
    for network, precision in product(networks or load_zoo().entries, precisions):
        names = installed_backends(device, precision)
        runners = {name: load_backend(network, name, precision, str(device)) for name in ('auto', *names)}
        for size in sizes:
            image = torch.rand(1, 3, *size)
            runs = {name: lambda runner=runner, image=image: timed(lambda: runner(image), device)
                    for name, runner in runners.items()}
            times = in_turns(runs, rounds, seconds=20)
            best = min(names, key=lambda name: sorted(times[name])[len(times[name]) // 2])
            chosen = runners['auto'].for_size(*size).name
            figures[f'{network}, {size[1]}x{size[0]}, {precision}: auto ({chosen}) / best ({best})'] = ratio(
                times['auto'], times[best])
    return Work('The choice of --backend auto', figures=figures)
