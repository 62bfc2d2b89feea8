"""Measure how well a search's shared weights rank networks, against training each of them alone."""
from deconas_plugin.commands.arguments import (
    add_budget,
    add_experiment,
    add_iteration,
    add_max_minutes,
    add_output,
    at_least,
    from_lab,
    positive,
)

EXAMPLES = """examples:
  24 networks of all sizes, 500 steps each with two seeds, into experiments/search_DeCoNAS_x2_quick/rank; the cost is
  said at first; stopped, it continues:
    deconas rank experiments/search_DeCoNAS_x2_quick
  as long as it takes until two seeds agree, but no more than 4,000 steps a network, half an hour at a time:
    deconas rank experiments/search_DeCoNAS_x2 --steps auto --max-steps 4000 --max-minutes 30
  how well the rungs of a halving of 50, 100 and 200 steps rank, from shared and from initial weights:
    deconas rank experiments/search_DeCoNAS_x2 --warm-steps 50 100 200 --fresh-steps 50 100 200
  the same where the candidates keep within a budget, half of them chains, as a halving that shares nothing draws them:
    deconas rank experiments/search_DeCoNAS_x2_25G --max-mult-adds 25e9 --fresh-steps 80 160 320 640
"""


def steps(text):
    return text if text == 'auto' else positive(text)


def add_arguments(parser):
    add_experiment(parser)
    add_output(parser, 'folder of the results (default: rank inside it)')
    parser.add_argument('--num', type=at_least(3), default=24, metavar='N', help='networks, at least 3 (default: 24)')
    parser.add_argument('--steps', type=steps, default=500, metavar='N',
                        help='weight steps of each (default: 500); auto: 250, then twice as many, until Kendall tau '
                        'between seeds is at least 0.7')
    parser.add_argument('--max-steps', type=at_least(250), default=4000, metavar='N',
                        help='most of them with auto (default: 4000)')
    parser.add_argument('--seeds', type=at_least(2), default=2, metavar='N',
                        help='with how many each is trained (default: 2)')
    parser.add_argument('--warm-steps', type=positive, nargs='*', metavar='N',
                        help='parts of a short training from the shared weights, each a ranking too (default: 20, '
                        'where there are such weights)')
    parser.add_argument('--fresh-steps', type=positive, nargs='*', default=[], metavar='N',
                        help='the same from initial weights, with a seed of its own (default: none)')
    add_budget(parser)
    add_max_minutes(parser)
    add_iteration(parser)
    parser.add_argument('--seed', type=int, default=0, metavar='N', help='(default: 0)')


def run(args):
    from deconas_plugin.search.derive import Budget
    limits = args.max_params, args.max_mult_adds
    budget = Budget(*limits) if any(limits) else None
    from_lab('study.run_rank').run_rank(
        args.experiment, args.output, args.num, args.steps, args.iteration, args.seed, args.seeds, args.max_steps,
        args.warm_steps, args.fresh_steps, args.max_minutes, budget)
