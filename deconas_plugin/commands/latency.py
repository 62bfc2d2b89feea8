"""Measure how long a search space's operations take on this machine, as a table for searches."""
from deconas_plugin.commands.arguments import add_device, add_lr_size, add_option_file, add_output, at_least, positive

EXAMPLES = """examples:
  what networks of a search cost on the CPU, for a 1280x720 output:
    deconas latency -opt search_x2 --output latency_cpu.yml
  on the GPU, for LR images of 256x256, in fp16:
    deconas latency -opt search_x2 --output latency_gpu.yml --device cuda --lr-size 256 256 \\
      --precision fp16
  in OpenVINO, which will run the network:
    deconas latency -opt search_x2 --output latency_openvino.yml --backend openvino
then set search.latency_table to the file, and search.penalty to a term of type latency.
"""


def add_arguments(parser):
    add_option_file(parser, 'option file of a search (YAML), whose network_g is the supernet')
    add_output(parser, 'the table (YAML)', required=True)
    add_device(parser)
    parser.add_argument('--precision', choices=['float32', 'bf16', 'fp16'], default='float32',
                        help='(default: float32)')
    parser.add_argument('--backend', choices=['torch', 'openvino', 'onnxruntime'], default='torch', metavar='NAME',
                        help='what runs the network: torch, or openvino or onnxruntime on the CPU (default: torch)')
    add_lr_size(parser, 'default: that of a 1280x720 output')
    parser.add_argument('--threads', type=positive, metavar='N', help="CPU threads (default: PyTorch's choice)")
    parser.add_argument('--runs', type=positive, default=20, metavar='N', help='runs whose median counts (default: 20)')
    parser.add_argument('--networks', type=at_least(0), default=20, metavar='N',
                        help='random networks for the check of the sums (default: 20)')


def run(args):
    from deconas_plugin.runs.measure_latency import run_latency
    run_latency(args.opt, args.output, args.device, args.precision, args.backend, args.lr_size, args.threads, args.runs,
                args.networks)
