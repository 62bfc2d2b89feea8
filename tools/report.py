"""Write the report of an experiment: one self-contained page, report.html in its folder."""
import argparse

from deconas_tools.arguments import examples

EXAMPLES = """examples:
  a search, finished or still running:
    python tools/report.py experiments/search_x2
  several, and a training:
    python tools/report.py experiments/search_x2 experiments/train_x2

What is not there yet is named in its place. Exit code: 0 written, 2 a folder or file is not as expected (the message
says why).
"""


def build_parser():
    parser = argparse.ArgumentParser(description=__doc__, epilog=examples(EXAMPLES),
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folders', nargs='+', metavar='EXPERIMENT_FOLDER', help='experiments/<name>')
    return parser


def report(args):
    """Write the reports, and say where they are."""
    from deconas_plugin.visual.report import write_report
    for folder in args.folders:
        print(write_report(folder))


def main(argv=None):
    args = build_parser().parse_args(argv)
    from deconas_plugin.utils.console import run_tool
    return run_tool(report, args)


if __name__ == '__main__':
    raise SystemExit(main())
