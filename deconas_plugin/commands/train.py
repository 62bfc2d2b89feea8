"""Train a derived network (or any network of BasicSR)."""
from deconas_plugin.commands.arguments import add_training_arguments, training_keywords

EXAMPLES = """examples:
  the network that a search has derived (the search prints this command):
    deconas train -opt experiments/search_DeCoNAS_x2_quick/derived/train_search_DeCoNAS_x2_quick_derived.yml
  the network of the paper:
    deconas train -opt train_DeCoNASNet_x2
"""


def add_arguments(parser):
    add_training_arguments(parser)


def run(args):
    from deconas_plugin.runs.pipeline import run_train
    run_train(args.opt, **training_keywords(args))
