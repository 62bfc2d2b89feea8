"""Compare search strategies and spaces, and shared weights with training alone; stopped, the same command continues."""
import argparse

from deconas_tools.arguments import at_least, examples, positive

EXAMPLES = """examples:
  the whole study on the sample photographs, about 40 minutes on two CPU cores:
    python tools/study.py --output results/study
  in pieces of ten minutes, as often as it takes:
    python tools/study.py --output results/study --max-minutes 10
  with ten seeds; the five that are done are kept:
    python tools/study.py --output results/study --seeds 10
  what strategies find in two spaces, without and with halving, at most 25 G each, all trained for 2,000 steps:
    python tools/study.py --output results/finals --finals 2000 -opt paper.yml light.yml --strategies reinforce nsga2 \\
      --halving 16 25 3 --max-mult-adds 25e9
"""


def build_parser():
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=examples(EXAMPLES), formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('-opt', nargs='+', default=['options/search_x2_quick.yml'], metavar='FILE',
                        help='options of a search, or of several with --finals (default: options/search_x2_quick.yml)')
    parser.add_argument('--output', required=True, metavar='FOLDER', help='results; study.md, plots, all pieces')
    for name, default, kind, meaning in (
        ('seeds', 5, positive, 'supernets, each searched by every strategy'),
        ('rank-seeds', 2, positive, 'of them, how many compare ways to train a supernet'),
        ('budget', 512, positive, 'genotypes that a search scores, a multiple of search.num_samples'),
        ('candidates', 16, positive, 'genotypes that its derivation scores'),
        ('supernet-steps', 1000, at_least(2), "forward and backward passes of a supernet's training"),
        ('num', 24, at_least(3), 'networks trained alone, at least 3'),
        ('steps', 300, positive, 'weight steps of each')):
        parser.add_argument(f'--{name}', type=kind, default=default, metavar='N',
                            help=f'{meaning} (default: {default})')
    parser.add_argument('--max-minutes', type=float, metavar='N', help='begin no new piece after this long')
    finals = parser.add_argument_group('networks that are trained in the end, instead of rewards and ranks')
    finals.add_argument('--finals', type=positive, metavar='N', help='weight steps of every network that was found')
    finals.add_argument('--strategies', nargs='+', default=['random', 'reinforce', 'evolution'], metavar='NAME',
                        help='(default: random reinforce evolution)')
    finals.add_argument('--halving', type=positive, nargs=3, metavar=('CANDIDATES', 'STEPS', 'RUNGS'),
                        help='derive without it, and with it from a supernet that trained for so much less')
    finals.add_argument('--max-params', type=float, metavar='N', help='most parameters')
    finals.add_argument('--max-mult-adds', type=float, metavar='N', help='most Mult-Adds @720p, for example 25e9')
    finals.add_argument('--inherit', action='store_true', help='networks start from the weights of the derivation')
    return parser


def main(argv=None):
    args = build_parser().parse_args(argv)
    from deconas_plugin.study.run_study import run_study
    from deconas_plugin.utils.console import run_tool
    return run_tool(run_study, args)


if __name__ == '__main__':
    raise SystemExit(main())
