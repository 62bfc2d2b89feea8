"""Search a network: train the supernet and the controller, then derive."""
from deconas_tools.arguments import training_parser

EXAMPLES = """examples:
  a first look, without any download, about four minutes on two CPU cores:
    python tools/search.py -opt options/search_x2_quick.yml
  the schedule of the paper on DIV2K:
    python tools/search.py -opt options/search_x2.yml
  another price of complexity, another name:
    python tools/search.py -opt options/search_x2.yml --force_yml name=search_light search.num_samples=4
"""


def build_parser():
    return training_parser(__doc__, EXAMPLES)


def main(argv=None):
    args = build_parser().parse_args(argv)
    from deconas_plugin.pipeline import run_search
    from deconas_plugin.utils.console import run_tool
    return run_tool(run_search, args)


if __name__ == '__main__':
    raise SystemExit(main())
