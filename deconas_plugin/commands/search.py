"""Search a network: train the supernet and the controller, then derive."""
from deconas_plugin.commands.arguments import add_training_arguments, training_keywords

EXAMPLES = """examples:
  a first look, without any download, some minutes on two CPU cores:
    deconas search -opt search_x2_quick
  the schedule of the paper on DIV2K:
    deconas search -opt search_x2
  another price of complexity, another name:
    deconas search -opt search_x2 --force_yml name=search_light search.num_samples=4
"""


def add_arguments(parser):
    add_training_arguments(parser)


def run(args):
    from deconas_plugin.runs.pipeline import run_search
    run_search(args.opt, **training_keywords(args))
