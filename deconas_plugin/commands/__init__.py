"""The command line: ``deconas``, and the scripts of ``tools`` that are one command each.

A module here is one command: its docstring, ``EXAMPLES``, ``add_arguments(parser)`` and ``run(args)``, and where some
arguments do not go together ``check(parser, args)``. What it does is done elsewhere, with plain keywords. None of them
imports torch or BasicSR before ``run``, so that ``--help`` and completion answer at once.
"""
import argparse
import functools
import importlib
import os
import sys
import time

from deconas_plugin.files.paths import COMMAND, tool_command

GROUPS = {
    'from an option file to a tested network': ('search', 'derive', 'train', 'test'),
    'with a trained network': ('upscale', 'convert', 'zoo', 'convert-tf'),
    'data, options, this machine': ('prepare-data', 'options', 'doctor', 'latency', 'completion'),
    'to look at': ('report', 'draw', 'compare'),
    'to measure': ('benchmark', 'league', 'rank', 'study', 'speed'),
}
NAMES = tuple(name for names in GROUPS.values() for name in names)
EXAMPLES = """examples:
  a first search, without any download, some minutes on two CPU cores:
    deconas search -opt search_x2_quick
  a photograph, with the best network of the model zoo, into photo_x2.png beside it:
    deconas upscale photo.jpg
  the option files that come with the plugin, and one of them to change:
    deconas options list
    deconas options copy search_x2
  all about a command:
    deconas search --help

Exit code of every command: 0 all well, 1 done but for something that is listed, 2 something cannot be used (one line
says what), 128 and more after a signal.
"""


def main(argv=None, command=None):
    """Run a command.

    Args:
        argv (list[str] | None): Its arguments. Default: those of the process.
        command (str | None): Its name. Default: the first of the arguments.

    Returns:
        int: The exit code.
    """
    started = time.monotonic()  # imports take seconds, and count for train.max_minutes
    if '_ARGCOMPLETE' in os.environ:
        _complete(command)
    argv = list(sys.argv[1:] if argv is None else argv)
    if command is None:
        if not argv or argv[0] not in NAMES:
            _whole_parser().parse_args(argv or ['--help'])
        command, *argv = argv
        prog = f'{COMMAND} {command}'
    else:
        prog = None
    module = _module(command)
    parser = _described(module, argparse.ArgumentParser, prog=prog)
    # So that options may stand between files; what has commands of its own cannot have that.
    args = (parser.parse_args if getattr(module, 'HAS_COMMANDS', False) else parser.parse_intermixed_args)(argv)
    args.started = started
    if hasattr(module, 'check'):
        module.check(parser, args)
    from deconas_plugin.machine.console import run_tool
    return run_tool(module.run, args)


def script(command):
    """Callable[[list[str] | None], int]: :func:`main` of one command, for a script that is no more than that."""
    return functools.partial(main, command=command)


def argument_parser(command):
    """argparse.ArgumentParser: That of a command, as ``deconas`` shows it."""
    return _described(_module(command), argparse.ArgumentParser, prog=f'{COMMAND} {command}')


def _module(command):
    return importlib.import_module(f'{__name__}.{command.replace("-", "_")}')


def _described(module, make, **keywords):
    parser = make(description=module.__doc__, epilog=_examples(module.EXAMPLES),
                  formatter_class=argparse.RawDescriptionHelpFormatter, **keywords)
    module.add_arguments(parser)
    return parser


def _whole_parser():
    """argparse.ArgumentParser: All commands, for the help and for completion."""
    from deconas_plugin import __version__
    lines = []
    for title, names in GROUPS.items():
        lines += [f'{title}:', *(f'  {name:14}{_module(name).__doc__.splitlines()[0]}' for name in names), '']
    parser = argparse.ArgumentParser(
        prog=COMMAND, usage=f'{COMMAND} COMMAND ... [--help]', epilog='\n'.join([*lines, _examples(EXAMPLES)]),
        description='Neural architecture search for super-resolution, as a plugin for BasicSR.',
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--version', action='version', version=f'{COMMAND} {__version__}')
    commands = parser.add_subparsers(metavar='COMMAND', help='one of those below', required=True)
    for name in NAMES:
        _described(_module(name), functools.partial(commands.add_parser, name))
    return parser


def _examples(text):
    """str: Examples with the commands that the user has."""
    for name in NAMES:
        text = text.replace(f'    {COMMAND} {name} ', f'    {tool_command(name)} ')
    return text


def _complete(command):
    import argcomplete
    parser = argument_parser(command) if command else _whole_parser()
    argcomplete.autocomplete(parser)
