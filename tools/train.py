"""Train a derived network (or any network of BasicSR)."""
from deconas_tools.arguments import training_parser

EXAMPLES = """examples:
  the network that a search has derived (the search prints this command):
    python tools/train.py -opt experiments/search_DeCoNAS_x2_quick/derived/train_search_DeCoNAS_x2_quick_derived.yml
  the network of the paper:
    python tools/train.py -opt options/train_DeCoNASNet_x2.yml
"""


def build_parser():
    return training_parser(__doc__, EXAMPLES)


def main(argv=None):
    args = build_parser().parse_args(argv)
    from deconas_plugin.pipeline import run_train
    from deconas_plugin.utils.console import run_tool
    return run_tool(run_train, args)


if __name__ == '__main__':
    raise SystemExit(main())
