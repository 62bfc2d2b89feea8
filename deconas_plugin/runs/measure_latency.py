"""The latency measurement as the tool runs it."""
import statistics

import torch
from basicsr.archs import build_network
from rich.console import Console

from deconas_plugin.cost.count import OUTPUT_SIZE_720P, ComplexityCounter
from deconas_plugin.cost.latency import measure_latency
from deconas_plugin.errors import OptionError
from deconas_plugin.files.user_code import import_user_code
from deconas_plugin.inference.backends import require_installed
from deconas_plugin.inference.runtimes import require_precision
from deconas_plugin.machine.device import choose_device, resolve_precision
from deconas_plugin.options.read import load_options


def run_latency(options, output, device=None, precision='float32', backend='torch', lr_size=None, threads=None, runs=20,
                networks=20):
    """Measure and write a latency table.

    Args:
        options (str | Path): Option file of a search.
        output (str | Path): The table.
        device (str | None): See :func:`choose_device`. Default: the CPU for a backend other than torch.
        precision (str): See :func:`resolve_precision`.
        backend (str): What will run the network: torch, openvino or onnxruntime.
        lr_size (tuple[int, int] | None): Width and height of the LR image. Default: that of a 1280x720 output.
        threads (int | None): Of the CPU. Default: PyTorch's choice.
        runs (int): How many, whose median counts.
        networks (int): How many random networks check the sums.

    Raises:
        OptionError: The options hold no supernet, or the device is not there.
    """
    opt = load_options(options)
    import_user_code(opt)
    network = opt.get('network_g')
    if not isinstance(network, dict) or network.get('type') != 'DeCoNASSuperNet':
        raise OptionError(f'network_g: expected a DeCoNASSuperNet, as in the options of a search ({options})')
    if threads:
        torch.set_num_threads(threads)
    device = choose_device('cpu' if device is None and backend != 'torch' else device)
    counter = ComplexityCounter.of(build_network(network))
    lr_size = lr_size or [size // counter.upscale for size in OUTPUT_SIZE_720P]
    precision = resolve_precision(precision, device, key='--precision')
    require_installed(backend)
    require_precision(backend, precision, device)
    table = measure_latency(counter, lr_size, device, precision, runs, networks, backend=backend)
    table.save(output)
    if table.errors:
        Console().print(f'Predicted against measured, {len(table.errors)} random networks: mean error '
                        f'{statistics.mean(table.errors):.1%}, largest {max(table.errors):.1%}', soft_wrap=True)
    Console().print(f'Table: {output}', soft_wrap=True)
