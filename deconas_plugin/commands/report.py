"""Write the report of an experiment: one self-contained page, report.html in its folder."""

EXAMPLES = """examples:
  a search, finished or still running:
    deconas report experiments/search_x2
  several, and a training:
    deconas report experiments/search_x2 experiments/train_x2

What is not there yet is named in its place. Exit code: 0 written, 2 a folder or file is not as expected (the message
says why).
"""


def add_arguments(parser):
    parser.add_argument('folders', nargs='+', metavar='EXPERIMENT_FOLDER', help='experiments/<name>')


def run(args):
    from deconas_plugin.visual.report import write_report
    for folder in args.folders:
        print(write_report(folder))
