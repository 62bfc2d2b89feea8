"""Measure models on the test sets; write the results table as Markdown, CSV and JSON, and a chart."""
import logging
from functools import partial

from deconas_plugin.commands.arguments import (
    add_device,
    add_option_file,
    add_output,
    add_scale,
    add_tile,
    at_least,
    positive,
)

EXAMPLES = """examples:
  bicubic, a trained network, and the rows that the paper reports:
    deconas benchmark --scale 2 bicubic experiments/x/models/net_g_latest.pth --paper
  a network of the model zoo, on the sets that its entry names:
    deconas benchmark --scale 2 bicubic DeCoNASNet_x2_24G --sets Set5 Set14
  any network of BasicSR's registries, as its test options describe it:
    deconas benchmark -opt test_DeCoNASNet_x2 bicubic
  the same network in other runtimes, for their time, memory and agreement:
    deconas benchmark --scale 2 DeCoNASNet_x2_24G DeCoNASNet_x2_24G@openvino DeCoNASNet_x2_24G@onnxruntime
  images that something else made (OTHER/Set5/baby_x2.png, OTHER/Set14/...):
    deconas benchmark --scale 2 --sr-dir FALSR=OTHER --cost FALSR=1021e3,234.7e9 --sets Set5 Set14
  networks of other papers, of weights that deconas convert has converted, beside what the paper reports of them:
    deconas benchmark --scale 2 bicubic SRCNN=srcnn.pth CARN=carn.pth DeCoNASNet_x2 --paper

MODEL is "bicubic", a name in the model zoo or a weight file (.pth, .safetensors) of a derived network or of SRCNN,
VDSR, LapSRN, MemNet, CARN or FALSR-A, with NAME= before it for another name and @openvino or another backend behind it
(auto, torch, onnxruntime), which runs a derived network. PSNR against Mult-Adds is drawn too (.svg,
.png). A run that was stopped goes on when it is started again.
Test sets lie below --data as deconas prepare-data --test-set writes them (Set5/GTmod2, Set5/LRbicx2), or in any of the
layouts that it reads. A set that is not there leaves empty cells and a note. Rows of the paper are marked "reported".
Exit code: 0 all well, 2 something cannot be used (the message says what).
"""


def add_arguments(parser):
    parser.add_argument('models', nargs='*', metavar='MODEL', help='"bicubic", a zoo name or [NAME=]weights')
    add_option_file(parser, 'BasicSR test options (YAML); may be repeated', required=False, action='append', default=[])
    parser.add_argument('--sr-dir', action='append', default=[], metavar='NAME=PATH',
                        help='folder of super-resolved images; may be repeated')
    parser.add_argument('--cost', action='append', default=[], metavar='NAME=PARAMS,MULT_ADDS',
                        help='of the network behind an --sr-dir, for example FALSR=1021e3,234.7e9; may be repeated')
    parser.add_argument('--paper', action='store_true', help='include the rows that the paper reports (x2)')
    add_scale(parser, 'default: that of -opt, else 2')
    parser.add_argument('--data', metavar='DIR', help='test sets (default: datasets, beside experiments)')
    parser.add_argument('--sets', nargs='+', metavar='NAME', default=['Set5', 'Set14', 'B100', 'Urban100'],
                        help='which (default: %(default)s)')
    add_output(parser, 'files to write, without .md, .csv, .json (default: results/benchmark_x<scale>, with the sets '
               'unless they are these four)')
    parser.add_argument('--protocol', choices=('rgb', 'y'), default='rgb', help='compare Y of 8-bit RGB images, or '
                        'Y of the results before they are rounded to such (default: %(default)s)')
    add_device(parser)
    parser.add_argument('--precision', choices=('float32', 'bf16', 'fp16'), default='float32',
                        help='of networks given as weights (default: %(default)s)')
    add_tile(parser, '0: the image is one; default: 512', type=at_least(0), default=512)
    parser.add_argument('--workers', type=positive, help='threads for PSNR and SSIM (default: all cores)')


def run(args):
    from basicsr.utils import get_root_logger

    from deconas_plugin.benchmark.run import run_benchmark
    from deconas_plugin.benchmark.table import to_markdown
    from deconas_plugin.machine.device import choose_device
    from deconas_plugin.machine.parallel import available_cores
    from deconas_plugin.options.read import load_options

    get_root_logger(log_level=logging.WARNING)  # BasicSR prints every network that it builds
    options = [(path, load_options(path)) for path in args.opt]
    scale = args.scale or next((opt.get('scale') for _, opt in options), 2)
    table = run_benchmark(
        args.models, options, args.sr_dir, args.paper, scale=scale, sets=args.sets, data=args.data,
        device=choose_device(args.device), out=args.output, precision=args.precision, tile=args.tile,
        workers=args.workers or available_cores(), protocol=args.protocol, costs=args.cost,
        show=partial(print, flush=True))
    print()
    print(to_markdown(table))
