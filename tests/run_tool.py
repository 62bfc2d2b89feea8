"""A tool with its ``experiments`` in another folder: ``run_tool.py search|train ROOT <arguments of the tool>``."""
import sys
from functools import partial
from pathlib import Path

from deconas_tools.arguments import training_parser

from deconas_plugin import pipeline
from deconas_plugin.utils.console import run_tool

if __name__ == '__main__':
    task, root, *arguments = sys.argv[1:]
    args = training_parser('', '').parse_args(arguments)
    function = partial({'search': pipeline.run_search, 'train': pipeline.run_train}[task], root=Path(root))
    raise SystemExit(run_tool(function, args))
