"""Does a search's shared-weight score rank networks as training them alone does, and does that agree with itself?"""
import argparse

from deconas_tools.arguments import at_least, examples, positive

EXAMPLES = """examples:
  24 networks of all sizes, 500 steps each with two seeds, into experiments/search_DeCoNAS_x2_quick/rank; the cost is
  said at first; stopped, it continues:
    python tools/rank.py experiments/search_DeCoNAS_x2_quick
  as long as it takes until two seeds agree, but no more than 4,000 steps a network, half an hour at a time:
    python tools/rank.py experiments/search_DeCoNAS_x2 --steps auto --max-steps 4000 --max-minutes 30
  how well the rungs of a halving of 50, 100 and 200 steps rank:
    python tools/rank.py experiments/search_DeCoNAS_x2 --warm-steps 50 100 200
"""


def steps(text):
    return text if text == 'auto' else positive(text)


def build_parser():
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=examples(EXAMPLES), formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', metavar='FOLDER', help='experiment folder of a search')
    parser.add_argument('--output', metavar='FOLDER', help='results (default: rank inside it)')
    parser.add_argument('--num', type=at_least(3), default=24, metavar='N', help='networks, at least 3 (default: 24)')
    parser.add_argument('--steps', type=steps, default=500, metavar='N',
                        help='weight steps of each (default: 500); auto: 250, then twice as many, until Kendall tau '
                        'between seeds is at least 0.7')
    parser.add_argument('--max-steps', type=at_least(250), default=4000, metavar='N',
                        help='most of them with auto (default: 4000)')
    parser.add_argument('--seeds', type=at_least(2), default=2, metavar='N',
                        help='with how many each is trained (default: 2)')
    parser.add_argument('--warm-steps', type=positive, nargs='*', default=[20], metavar='N',
                        help='parts of a short training from the shared weights, each a ranking too (default: 20)')
    parser.add_argument('--max-minutes', type=float, metavar='N', help='begin no new piece after this long')
    parser.add_argument('--iteration', type=positive, metavar='N', help='checkpoint (default: the latest)')
    parser.add_argument('--seed', type=int, default=0, metavar='N', help='(default: 0)')
    return parser


def main(argv=None):
    args = build_parser().parse_args(argv)
    from deconas_plugin.study.run_rank import run_rank
    from deconas_plugin.utils.console import run_tool
    return run_tool(run_rank, args.folder, args.output, args.num, args.steps, args.iteration, args.seed,
                    args.seeds, args.max_steps, args.warm_steps, args.max_minutes)


if __name__ == '__main__':
    raise SystemExit(main())
