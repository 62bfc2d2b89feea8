"""Derive a network from a search, within a budget if you give one. The search itself is not run again."""
import argparse

from deconas_tools.arguments import at_least, examples, positive

EXAMPLES = """examples:
  the best network of a search:
    python tools/derive.py experiments/search_DeCoNAS_x2
  the best one of at most 75 G Mult-Adds @720p, into experiments/search_DeCoNAS_x2/derived_75G:
    python tools/derive.py experiments/search_DeCoNAS_x2 --max-mult-adds 75e9 --name derived_75G
  the best one that takes at most 200 ms on the machine of a latency table:
    python tools/derive.py experiments/search_DeCoNAS_x2 --max-latency 200 --latency-table latency_cpu.yml
  train the 16 best candidates on for 50 weight steps, the better 8 for 100 more, the better 4 for 200 more; stopped, it
  continues:
    python tools/derive.py experiments/search_DeCoNAS_x2 --halving 16 50 3 --name halved
"""


def build_parser():
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=examples(EXAMPLES), formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('experiment', metavar='FOLDER', help='experiment folder of a search')
    parser.add_argument('--name', default='derived', help='folder for the files, inside it (default: derived)')
    parser.add_argument('--iteration', type=positive, metavar='N', help='checkpoint (default: the latest)')
    parser.add_argument('--num-samples', type=at_least(0), metavar='N',
                        help='genotypes to score (default: as in the options)')
    parser.add_argument('--max-params', type=float, metavar='N', help='most parameters')
    parser.add_argument('--max-mult-adds', type=float, metavar='N', help='most Mult-Adds @720p, for example 75e9')
    parser.add_argument('--max-latency', type=float, metavar='MS', help='largest latency, by the latency table')
    parser.add_argument('--latency-table', metavar='FILE', help="made by tools/latency.py (default: the search's)")
    parser.add_argument('--halving', type=positive, nargs=3, metavar=('CANDIDATES', 'STEPS', 'RUNGS'),
                        help='train the best candidates on and halve them (default: as in the options)')
    return parser


def main(argv=None):
    args = build_parser().parse_args(argv)
    from deconas_plugin.derivation import run_derivation
    from deconas_plugin.search.halving import HalvingOptions
    from deconas_plugin.utils.console import run_tool
    return run_tool(run_derivation, args.experiment, args.name, args.iteration, args.num_samples, args.max_params,
                    args.max_mult_adds, args.max_latency, args.latency_table,
                    HalvingOptions(*args.halving) if args.halving else None)


if __name__ == '__main__':
    raise SystemExit(main())
