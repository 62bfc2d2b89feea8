"""How the tools speak: errors in one line, exit codes."""
import logging
import os
import signal
import sys
import warnings
from contextlib import contextmanager

from tqdm import tqdm

from deconas_plugin.errors import DeCoNASError, Interrupted

SIGPIPE = 13  # Windows does not know it


def run_tool(function, *args):
    """Run a tool's work.

    Returns:
        int: Exit code: what the function returns where that is a number, else 0; 2 after printing the line of a
        DeCoNASError; 128 and the signal's number after a signal, 130 after Ctrl-C, 141 where nobody reads the output
        any more; 0 where the time that was given is up. Other errors are defects and keep their traceback.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, 'reconfigure'):  # a file's name may hold bytes that are no text
            stream.reconfigure(errors='backslashreplace')
    warnings.filterwarnings('ignore', module=r'PIL\.')  # about damaged metadata, several lines each
    try:
        code = function(*args)
        sys.stdout.flush()
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
    except BrokenPipeError:
        if not _reader_has_left():
            raise
        return 128 + SIGPIPE


def _reader_has_left():
    """bool: Whether what reads our output, as ``head`` does, has ended; the rest of it then goes nowhere."""
    try:
        print(flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


def quiet_console():
    """Leave BasicSR's lines, but for errors, to the log files of the runs that a tool starts."""
    from basicsr.utils import get_root_logger  # tools that run trained networks need no BasicSR
    for handler in get_root_logger().handlers:
        if type(handler) is logging.StreamHandler:
            handler.setLevel(logging.ERROR)


def in_notebook():
    """bool: Whether a notebook shows what is printed: no terminal, but lines may be written over."""
    shell = sys.modules.get('IPython') and sys.modules['IPython'].get_ipython()
    return type(shell).__name__ == 'ZMQInteractiveShell'


@contextmanager
def progress_bar(total, unit):
    """Context of a progress bar on a terminal or in a notebook, and of nothing elsewhere. It never runs backwards.

    Args:
        total (int): How much there is to do.
        unit (str): Of what.

    Yields:
        Callable[[float, str], None]: To be called with how much is done and a word on what is being done.
    """
    layout = '{percentage:3.0f}%|{bar}| {desc}, {elapsed}, {remaining} left {postfix}'
    with tqdm(total=total, desc=f'0 of {total} {unit}', bar_format=layout, smoothing=0,
              disable=False if in_notebook() else None) as bar:

        def show(done, text):
            bar.set_description_str(f'{int(done)} of {total} {unit}', refresh=False)
            bar.set_postfix_str(text, refresh=False)
            bar.update(max(done - bar.n, 0))  # what turns out to be more work than expected stops the bar

        yield show
