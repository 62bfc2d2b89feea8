"""Train any networks alike, within a budget of Mult-Adds, and rank them; stopped, the same command continues."""
import argparse

from deconas_tools.arguments import examples, option_file

EXAMPLES = """examples:
  the league of networks of at most 25 G Mult-Adds @720p, as often as it takes:
    python tools/league.py -opt options/league_x2_25G.yml --max-minutes 60
  a first look at it in minutes:
    python tools/league.py -opt options/league_x2_25G.yml --output results/look \\
        --force_yml train.total_iter=300 train.warmup_iter=30 rate_iter=100

Members, budget, data, steps, learning rates and seeds are in the option file; options/README.md explains them. Members,
seeds and learning rates may be added to a league that is done: what is there is kept.
Exit code: 0 done, or the time of --max-minutes is up; 2 something cannot be used (the message says what).
"""


def build_parser():
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=examples(EXAMPLES), formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('-opt', required=True, metavar='FILE', type=option_file,
                        help='option file (YAML), or the name of one that comes with the plugin')
    parser.add_argument('--output', metavar='FOLDER', help='trainings, and league.md, .csv, .json, .png '
                        '(default: results/<name of the league>)')
    parser.add_argument('--max-minutes', type=float, metavar='N', help='stop in good order after this long')
    parser.add_argument('--force_yml', nargs='+', metavar='KEY=VALUE',
                        help='change or add options; section.key=value, the value as in YAML')
    return parser


def main(argv=None):
    args = build_parser().parse_args(argv)
    from deconas_plugin.benchmark.league import run_league
    from deconas_plugin.utils.console import run_tool
    return run_tool(run_league, args)


if __name__ == '__main__':
    raise SystemExit(main())
