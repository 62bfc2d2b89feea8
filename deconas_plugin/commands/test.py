"""Test a trained network with the test pipeline of BasicSR."""
from deconas_plugin.commands.arguments import add_training_arguments

EXAMPLES = """examples:
  the network that a search has derived, after its training (the search prints this command):
    deconas test -opt experiments/search_DeCoNAS_x2_quick/derived/test_search_DeCoNAS_x2_quick_derived.yml
  the network of the paper on Set5, Set14, B100 and Urban100:
    deconas test -opt test_DeCoNASNet_x2
"""


def add_arguments(parser):
    add_training_arguments(parser)


def run(args):
    from deconas_plugin.runs.pipeline import run_test
    run_test(args.opt, args.force_yml, launcher=args.launcher, auto_resume=args.auto_resume, debug=args.debug)
