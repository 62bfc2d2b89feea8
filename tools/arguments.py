"""What the command lines of several tools share; that of search, train and test is BasicSR's."""
import argparse
import re
import time

from deconas_plugin.utils import paths


def at_least(minimum):
    """callable: The type of an argument that is a whole number of at least ``minimum``."""

    def whole_number(text):
        if not text.isdecimal() or int(text) < minimum:
            raise argparse.ArgumentTypeError(f'expected a whole number of at least {minimum}, got {text}')
        return int(text)

    return whole_number


positive = at_least(1)


def option_file(name):
    """str: The type of an argument that names an option file, one of the plugin included."""
    return paths.option_file(name)


def examples(text):
    """str: The examples of ``--help``, with the commands that the user has."""
    return re.sub(r'python tools/(\w+)\.py', lambda command: paths.tool_command(command[1]), text)


def training_parser(description, epilog):
    """argparse.ArgumentParser: For a tool that runs one of BasicSR's pipelines."""
    parser = argparse.ArgumentParser(
        description=description, epilog=examples(epilog), formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('-opt', required=True, metavar='FILE', type=option_file,
                        help='option file (YAML), or the name of one that comes with the plugin')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm'], default='none', help='job launcher')
    parser.add_argument('--auto_resume', action='store_true', help='continue from the newest training state')
    parser.add_argument('--debug', action='store_true', help="BasicSR's debug mode: log and save often")
    parser.add_argument('--force_yml', nargs='+', metavar='KEY=VALUE',
                        help='change or add options; section.key=value, the value as in YAML')
    # Before the imports, which take seconds and count for train.max_minutes.
    parser.set_defaults(started=time.monotonic())
    # torch.distributed.launch passes it in either spelling; torchrun sets LOCAL_RANK instead.
    parser.add_argument('--local-rank', '--local_rank', type=int, metavar='N', help=argparse.SUPPRESS)
    return parser
