"""How the tools speak: errors in one line, exit codes."""
import sys

from deconas_plugin.errors import DeCoNASError, Interrupted


def run_tool(function, *args):
    """Run a tool's work.

    Returns:
        int: Exit code: 0; 2 after printing the line of a DeCoNASError; 128 and the signal's number after a signal.
        Other errors are defects and keep their traceback.
    """
    try:
        function(*args)
    except DeCoNASError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    except Interrupted as interrupted:
        print(interrupted, file=sys.stderr)
        return 128 + interrupted.signum
    return 0
