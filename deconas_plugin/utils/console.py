"""How the tools speak: errors in one line, exit codes."""
import signal
import sys
from contextlib import contextmanager

from tqdm import tqdm

from deconas_plugin.errors import DeCoNASError, Interrupted


def run_tool(function, *args):
    """Run a tool's work.

    Returns:
        int: Exit code: what the function returns where that is a number, else 0; 2 after printing the line of a
        DeCoNASError; 128 and the signal's number after a signal, 130 after Ctrl-C; 0 where the time that was given is
        up. Other errors are defects and keep their traceback.
    """
    try:
        code = function(*args)
        return code if isinstance(code, int) else 0
    except DeCoNASError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    except Interrupted as interrupted:
        print(interrupted, file=sys.stderr)
        return 128 + interrupted.signum if interrupted.signum else 0
    except KeyboardInterrupt:
        print('interrupted; what is finished is kept', file=sys.stderr)
        return 128 + signal.SIGINT


@contextmanager
def progress_bar(total, unit):
    """Context of a progress bar on a terminal, and of nothing elsewhere.

    Args:
        total (int): How much there is to do.
        unit (str): Of what.

    Yields:
        Callable[[float, str], None]: To be called with how much is done and a word on what is being done.
    """
    layout = '{percentage:3.0f}%|{bar}| {total_fmt} {unit}, {elapsed}<{remaining} {postfix}'
    with tqdm(total=total, unit=unit, bar_format=layout, disable=None) as bar:

        def show(done, text):
            bar.set_postfix_str(text, refresh=False)
            bar.update(done - bar.n)

        yield show
