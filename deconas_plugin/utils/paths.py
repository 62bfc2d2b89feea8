"""Where files go, and how paths and commands are shown."""
import os
import shlex
import sys
from importlib import resources
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


def project_root():
    """Path: Folder of ``experiments`` and ``results``: the checkout, as in BasicSR, or else the current folder."""
    return CHECKOUT if _in_checkout() else Path.cwd()


def shipped_option_files():
    """dict[str, Path]: The option files that come with the plugin, by name without ending."""
    folder = CHECKOUT / 'options' if _in_checkout() else resources.files('deconas_options')
    return {path.name.removesuffix('.yml'): path for path in folder.iterdir() if path.name.endswith('.yml')}


def option_file(name):
    """str: An option file as given, or, where there is no such file, that of the plugin with this name."""
    shipped = shipped_option_files().get(Path(name).name.removesuffix('.yml'))
    inside = Path(name).parent.name in ('', 'options')
    return str(shipped) if shipped and inside and not Path(name).exists() else name


def tool_command(tool):
    """str: How the user calls a tool, such as 'train': by the script of a checkout, else by its installed name."""
    if not _in_checkout() or Path(sys.argv[0]).name.startswith('deconas-'):
        return f'deconas-{tool}'
    return f'python {typed(CHECKOUT / "tools" / f"{tool}.py")}'


def typed(path):
    """str: A path as it is typed into a shell, from the current folder where it lies below it."""
    return shlex.quote(shown(path))


def _in_checkout():
    return (CHECKOUT / 'tools' / 'search.py').is_file()


def shown(path):
    """str: The path from the current folder where it lies below it, else the whole path."""
    path = Path(path).resolve()
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
