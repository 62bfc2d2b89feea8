"""Compare search strategies, and shared weights with training alone; stopped, the same command continues."""
import argparse

EXAMPLES = """examples:
  the whole study on the sample photographs, about 40 minutes on two CPU cores:
    python tools/study.py --output results/study
  in pieces of ten minutes, as often as it takes:
    python tools/study.py --output results/study --max-minutes 10
  with ten seeds; the five that are done are kept:
    python tools/study.py --output results/study --seeds 10
"""


def build_parser():
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('-opt', default='options/search_x2_quick.yml', metavar='FILE',
                        help='options of a search (default: options/search_x2_quick.yml)')
    parser.add_argument('--output', required=True, metavar='FOLDER', help='results; study.md, plots, all pieces')
    for name, default, meaning in (
        ('seeds', 5, 'supernets, each searched by every strategy'),
        ('rank-seeds', 2, 'of them, how many compare ways to train a supernet'),
        ('budget', 512, 'genotypes that a search scores'),
        ('candidates', 16, 'genotypes that its derivation scores'),
        ('supernet-steps', 1000, "forward and backward passes of a supernet's training"),
        ('num', 24, 'networks trained alone'),
        ('steps', 300, 'weight steps of each')):
        parser.add_argument(f'--{name}', type=int, default=default, metavar='N', help=f'{meaning} (default: {default})')
    parser.add_argument('--max-minutes', type=float, metavar='N', help='begin no new piece after this long')
    return parser


def main(argv=None):
    args = build_parser().parse_args(argv)
    from deconas_plugin.study.run_study import run_study
    from deconas_plugin.utils.console import run_tool
    return run_tool(run_study, args)


if __name__ == '__main__':
    raise SystemExit(main())
