"""Test a trained network with the test pipeline of BasicSR."""
from deconas_tools.arguments import training_parser

EXAMPLES = """examples:
  the network that a search has derived, after its training (the search prints this command):
    python tools/test.py -opt experiments/search_DeCoNAS_x2_quick/derived/test_search_DeCoNAS_x2_quick_derived.yml
  the network of the paper on Set5, Set14, B100 and Urban100:
    python tools/test.py -opt options/test_DeCoNASNet_x2.yml
"""


def build_parser():
    return training_parser(__doc__, EXAMPLES)


def main(argv=None):
    args = build_parser().parse_args(argv)
    from deconas_plugin.pipeline import run_test
    from deconas_plugin.utils.console import run_tool
    return run_tool(run_test, args)


if __name__ == '__main__':
    raise SystemExit(main())
