"""Train any networks alike, within a budget of Mult-Adds, and rank them."""
from deconas_plugin.commands.arguments import add_changes, add_max_minutes, add_option_file, add_output

EXAMPLES = """examples:
  the league of networks of at most 25 G Mult-Adds @720p, as often as it takes:
    deconas league -opt league_x2_25G --max-minutes 60
  a first look at it in minutes:
    deconas league -opt league_x2_25G --output results/look \\
        --force_yml train.total_iter=300 train.warmup_iter=30 rate_iter=100

Members, budget, data, steps, learning rates and seeds are in the option file; options/README.md explains them. Members,
seeds and learning rates may be added to a league that is done: what is there is kept.
Exit code: 0 done, or the time of --max-minutes is up; 2 something cannot be used (the message says what).
"""


def add_arguments(parser):
    add_option_file(parser)
    add_output(parser, 'folder of the trainings, and of league.md, .csv, .json, .png '
               '(default: results/<name of the league>)')
    add_max_minutes(parser)
    add_changes(parser)


def run(args):
    from deconas_plugin.league.league import League
    League(args.opt, args.output, args.max_minutes, args.force_yml).run()
