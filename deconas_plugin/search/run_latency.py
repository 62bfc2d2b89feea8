"""The latency measurement as the tool runs it."""
import statistics

import torch
from basicsr.archs import build_network
from rich.console import Console

from deconas_plugin.errors import OptionError
from deconas_plugin.inference.load import require_installed
from deconas_plugin.inference.runtimes import require_precision
from deconas_plugin.search.complexity import OUTPUT_SIZE_720P, ComplexityCounter
from deconas_plugin.search.measure_latency import measure_latency
from deconas_plugin.utils.options import load_options
from deconas_plugin.utils.precision import resolve_precision
from deconas_plugin.utils.user_code import import_user_code


def run_latency(args):
    """Measure and write a latency table.

    Args:
        args (argparse.Namespace): What tools/latency.py parses.

    Raises:
        OptionError: The options hold no supernet, or the device is not there.
    """
    opt = load_options(args.opt)
    import_user_code(opt)
    network = opt.get('network_g')
    if not isinstance(network, dict) or network.get('type') != 'DeCoNASSuperNet':
        raise OptionError(f'network_g: expected a DeCoNASSuperNet, as in the options of a search ({args.opt})')
    if args.device == 'cuda' and not torch.cuda.is_available():
        raise OptionError('--device: cuda is not available here')
    if args.threads:
        torch.set_num_threads(args.threads)
    device = torch.device(args.device)
    counter = ComplexityCounter.of(build_network(network))
    lr_size = args.lr_size or [size // counter.upscale for size in OUTPUT_SIZE_720P]
    precision = resolve_precision(args.precision, device, key='--precision')
    require_installed(args.backend)
    require_precision(args.backend, precision, device)
    table = measure_latency(counter, lr_size, device, precision, args.runs, args.networks, backend=args.backend)
    table.save(args.output)
    if table.errors:
        Console().print(f'Predicted against measured, {len(table.errors)} random networks: mean error '
                        f'{statistics.mean(table.errors):.1%}, largest {max(table.errors):.1%}', soft_wrap=True)
    Console().print(f'Table: {args.output}', soft_wrap=True)
