"""Python in a process that has imported nothing of BasicSR, torchvision or the plugin, without seconds of start-up.

It is forked from one that has imported what these import and takes longest, PyTorch first of all.
"""
import json
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 300
IMPORTED = ('torch._dynamo', 'scipy.stats', 'scipy.ndimage', 'cv2', 'matplotlib.figure', 'torch.utils.tensorboard')
_server = None


def run_fresh(code, *arguments, cwd=ROOT, stdio=None, environment=None):
    """Run Python code.

    Args:
        code (str): What ``python -c`` would get.
        *arguments (str): ``sys.argv[1:]``.
        cwd (Path): Current folder. Default: the checkout.
        stdio (str | None): A terminal for input and output. Default: none.
        environment (dict | None): Variables in the place of ours. PYTHONPATH is the checkout.

    Returns:
        subprocess.CompletedProcess: What came of it.
    """
    global _server
    if _server is None or _server.poll() is not None:
        _server = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with tempfile.TemporaryDirectory() as folder:
        files = [stdio or os.devnull, *(stdio or f'{folder}/{name}' for name in ('out', 'err'))]
        environment = {**(os.environ if environment is None else environment), 'PYTHONPATH': str(ROOT)}
        json.dump([code, arguments, str(cwd), files, environment], _server.stdin)
        print(file=_server.stdin, flush=True)
        status = os.waitstatus_to_exitcode(int(_server.stdout.readline()))
        out, err = ('' if stdio else Path(file).read_text() for file in files[1:])
        return subprocess.CompletedProcess(arguments, status, out, err)


def output_of(code, **environment):
    """str: What code prints that ends well."""
    process = run_fresh(code, environment={**os.environ, **environment})
    assert process.returncode == 0, process.stderr
    return process.stdout.strip()


def _serve():
    import importlib
    for name in IMPORTED:
        importlib.import_module(name)
    sys.path[0] = ''  # not the folder of this file
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _work(*json.loads(line))
        print(os.waitpid(pid, 0)[1], flush=True)


def _work(code, arguments, cwd, files, environment):
    signal.alarm(SECONDS)
    for number, file in enumerate(files):
        os.dup2(os.open(file, os.O_RDWR | os.O_CREAT), number)
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(number, mode, buffering=1, closefd=False)
                                         for number, mode in enumerate('rww'))
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.argv = ['-c', *arguments]
    sys.path[1:1] = [environment['PYTHONPATH']]
    status = 0
    try:
        exec(compile(code, '<string>', 'exec'), {'__name__': '__main__'})
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == '__main__':
    _serve()
