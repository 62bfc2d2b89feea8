"""Compare search strategies and spaces, and shared weights with training alone."""
from deconas_plugin.commands.arguments import (
    add_budget,
    add_halving,
    add_max_minutes,
    add_option_file,
    add_output,
    at_least,
    from_lab,
    halving_options,
    option_file,
    positive,
)

EXAMPLES = """examples:
  the whole study on the sample photographs, about 40 minutes on two CPU cores:
    deconas study --output results/study
  in pieces of ten minutes, as often as it takes:
    deconas study --output results/study --max-minutes 10
  with ten seeds; the five that are done are kept:
    deconas study --output results/study --seeds 10
  what strategies find in two spaces, without and with halving, at most 25 G each, all trained for 2,000 steps:
    deconas study --output results/finals --finals 2000 -opt paper.yml light.yml --strategies reinforce nsga2 \\
      --halving 16 25 3 --max-mult-adds 25e9
"""


def add_arguments(parser):
    add_option_file(parser, 'option file of a search, or of several with --finals (default: search_x2_quick)',
                    required=False, nargs='+', default=[option_file('search_x2_quick')])
    add_output(parser, 'folder of the results: study.md, plots, all pieces', required=True)
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
    add_max_minutes(parser)
    finals = parser.add_argument_group('networks that are trained in the end, instead of rewards and ranks')
    finals.add_argument('--finals', type=positive, metavar='N', help='weight steps of every network that was found')
    finals.add_argument('--strategies', nargs='+', default=['random', 'reinforce', 'evolution'], metavar='NAME',
                        help='none shares no weights: random candidates train alone and halve '
                             '(default: random reinforce evolution)')
    add_halving(finals, 'derive without it, and with it from a supernet that trained for so much less')
    add_budget(finals)
    finals.add_argument('--inherit', action='store_true', help='networks start from the weights of the derivation')


def check(parser, args):
    """Refuse several searches where one is studied."""
    if len(args.opt) > 1 and not args.finals:
        parser.error(f'-opt: expected one file without --finals, got {len(args.opt)}')


def run(args):
    common = args.seeds, args.budget, args.candidates, args.supernet_steps
    if args.finals:
        from deconas_plugin.search.derive import Budget
        from_lab('study.finals').Finals(
            args.opt, args.output, args.finals, args.strategies, *common, halving_options(args),
            Budget(args.max_params, args.max_mult_adds), args.inherit, args.max_minutes).run()
    else:
        seeds, *others = common
        from_lab('study.run_study').Study(
            args.opt[0], args.output, seeds, args.rank_seeds, *others, args.num, args.steps, args.max_minutes).run()
