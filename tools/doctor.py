"""Check, within two minutes, that training works on this machine's GPU or CPU as it should."""
import argparse

from deconas_tools.arguments import examples

EXAMPLES = """examples:
  the GPU, where there is one, else the CPU:
    python tools/doctor.py
  what a machine was found to do, as a file:
    python tools/doctor.py --device cuda --out results/doctor.json

Checked are: the forward pass and training steps in each precision against float32 on the CPU, compiled steps, patches
cut on the device, a run that is interrupted, states exchanged with the CPU, and the time limit. Then for instance
  python tools/train.py -opt options/train_DeCoNASNet_x2_24G.yml --auto_resume --force_yml train.max_minutes=6
trains for six minutes from the newest state.
Exit code: 0 all that is possible here holds, 1 something does not, 2 there is no such device.
"""


def build_parser():
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=examples(EXAMPLES), formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--device', help='cpu, cuda, cuda:1, ... (default: cuda where there is one)')
    parser.add_argument('--out', metavar='FILE', help='JSON file to write')
    return parser


def main(argv=None):
    args = build_parser().parse_args(argv)
    from deconas_plugin.speed.doctor import run_doctor
    from deconas_plugin.utils.console import run_tool
    return run_tool(run_doctor, args)


if __name__ == '__main__':
    raise SystemExit(main())
