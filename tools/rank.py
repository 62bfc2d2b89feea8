"""Does a search's shared-weight score rank networks as training them alone does?"""
import argparse

from deconas_tools.arguments import at_least, positive

EXAMPLES = """examples:
  24 networks of all sizes, 500 steps each, into experiments/search_DeCoNAS_x2_quick/rank; stopped, it continues:
    python tools/rank.py experiments/search_DeCoNAS_x2_quick
  more networks, trained for longer:
    python tools/rank.py experiments/search_DeCoNAS_x2 --num 50 --steps 5000
"""


def build_parser():
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', metavar='FOLDER', help='experiment folder of a search')
    parser.add_argument('--output', metavar='FOLDER', help='results (default: rank inside it)')
    parser.add_argument('--num', type=at_least(3), default=24, metavar='N', help='networks, at least 3 (default: 24)')
    parser.add_argument('--steps', type=positive, default=500, metavar='N', help='weight steps of each (default: 500)')
    parser.add_argument('--iteration', type=positive, metavar='N', help='checkpoint (default: the latest)')
    parser.add_argument('--seed', type=int, default=0, metavar='N', help='(default: 0)')
    return parser


def main(argv=None):
    args = build_parser().parse_args(argv)
    from deconas_plugin.study.run_rank import run_rank
    from deconas_plugin.utils.console import run_tool
    return run_tool(run_rank, args.folder, args.output, args.num, args.steps, args.iteration, args.seed)


if __name__ == '__main__':
    raise SystemExit(main())
