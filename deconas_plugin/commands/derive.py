"""Derive a network from a search again, within a budget if you give one."""
from deconas_plugin.commands.arguments import (
    above_zero,
    add_budget,
    add_experiment,
    add_halving,
    add_iteration,
    at_least,
    halving_options,
)

EXAMPLES = """examples:
  the best network of a search:
    deconas derive experiments/search_DeCoNAS_x2
  the best one of at most 75 G Mult-Adds @720p, into experiments/search_DeCoNAS_x2/derived_75G:
    deconas derive experiments/search_DeCoNAS_x2 --max-mult-adds 75e9 --name derived_75G
  the best one that takes at most 200 ms on the machine of a latency table:
    deconas derive experiments/search_DeCoNAS_x2 --max-latency 200 --latency-table latency_cpu.yml
  train the 16 best candidates on for 50 weight steps, the better 8 for 100 more, the better 4 for 200 more; stopped, it
  continues:
    deconas derive experiments/search_DeCoNAS_x2 --halving 16 50 3 --name halved
"""


def add_arguments(parser):
    add_experiment(parser)
    parser.add_argument('--name', default='derived', help='folder for the files, inside it (default: derived)')
    add_iteration(parser)
    parser.add_argument('--num-samples', type=at_least(0), metavar='N',
                        help='genotypes to score (default: as in the options)')
    add_budget(parser)
    parser.add_argument('--max-latency', type=above_zero, metavar='MS', help='largest latency, by the latency table')
    parser.add_argument('--latency-table', metavar='FILE', help="made by deconas latency (default: the search's)")
    add_halving(parser, 'train the best candidates alone and halve them (default: as in the options)')


def run(args):
    from deconas_plugin.runs.derivation import run_derivation
    run_derivation(args.experiment, args.name, args.iteration, args.num_samples, args.max_params, args.max_mult_adds,
                   args.max_latency, args.latency_table, halving_options(args))
