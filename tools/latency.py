"""Measure the latency of a space's operations on this machine, as a table for the complexity measure ``latency``."""
import argparse

from deconas_tools.arguments import at_least, examples, option_file, positive

EXAMPLES = """examples:
  what networks of a search cost on the CPU, for a 1280x720 output:
    python tools/latency.py -opt options/search_x2.yml --output latency_cpu.yml
  on the GPU, for LR images of 256x256, in fp16:
    python tools/latency.py -opt options/search_x2.yml --output latency_gpu.yml --device cuda --lr-size 256 256 \\
      --precision fp16
  in OpenVINO, which will run the network:
    python tools/latency.py -opt options/search_x2.yml --output latency_openvino.yml --backend openvino
then set search.latency_table to the file, and search.penalty to a term of type latency.
"""


def build_parser():
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=examples(EXAMPLES), formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('-opt', required=True, metavar='FILE', type=option_file,
                        help='search options; network_g is the supernet')
    parser.add_argument('--output', required=True, metavar='FILE', help='the table (YAML)')
    parser.add_argument('--device', choices=['cpu', 'cuda'], default='cpu', help='(default: cpu)')
    parser.add_argument('--precision', choices=['float32', 'bf16', 'fp16'], default='float32',
                        help='(default: float32)')
    parser.add_argument('--backend', choices=['torch', 'openvino', 'onnxruntime'], default='torch',
                        help='what will run the network; the others than torch on the CPU (default: torch)')
    parser.add_argument('--lr-size', type=positive, nargs=2, metavar=('W', 'H'),
                        help='LR image (default: that of a 1280x720 output)')
    parser.add_argument('--threads', type=positive, metavar='N', help="CPU threads (default: PyTorch's choice)")
    parser.add_argument('--runs', type=positive, default=20, metavar='N', help='runs whose median counts (default: 20)')
    parser.add_argument('--networks', type=at_least(0), default=20, metavar='N',
                        help='random networks for the check of the sums (default: 20)')
    return parser


def main(argv=None):
    args = build_parser().parse_args(argv)
    from deconas_plugin.search.run_latency import run_latency
    from deconas_plugin.utils.console import run_tool
    return run_tool(run_latency, args)


if __name__ == '__main__':
    raise SystemExit(main())
