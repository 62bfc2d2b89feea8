"""Where files go, and how paths and commands are shown."""
import os
import shlex
import sys
from importlib import resources
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
COMMAND = 'deconas'
SCRIPTS = {'speed': 'benchmark_speed'}  # the scripts of tools that are not called as the command is
# How the names of options begin whose values are paths.
PATH_OPTIONS = ('cache_dir', 'dataroot_', 'genotype', 'latency_table', 'meta_info_file', 'plugins', 'pretrain_network_',
                'resume_state', 'sample_photos', 'test_data', 'weights')
DEEPEST = 20  # sections inside each other; YAML can say that one contains itself


def project_root():
    """Path: Folder of ``experiments`` and ``results``: the checkout, as in BasicSR, or else the current folder."""
    return CHECKOUT if _in_checkout() else Path.cwd()


def default_folder(name):
    """Path: A folder that no option names, such as ``datasets``: where ``experiments`` is, too; from the current folder
    where that is the same place."""
    root = project_root()
    return Path(name) if root == Path.cwd() else root / name


def locate(opt):
    """Make relative paths of options those of the checkout, where ``experiments`` is, unless they are there from here:
    a run that was started in the checkout can be continued, derived from and tested from any folder.

    Args:
        opt (dict): Options; they are changed.
    """
    root, photos = project_root(), opt.get('sample_photos')
    if root != Path.cwd():
        _locate(opt, root, photos if isinstance(photos, str) else None, DEEPEST)


def below_root(value):
    """The value of an option, paths in the checkout as they are written from there: how :func:`locate` found them."""
    if isinstance(value, list):
        return [below_root(item) for item in value]
    if isinstance(value, str) and Path(value).is_absolute() and Path(value).is_relative_to(project_root()):
        return str(Path(value).relative_to(project_root()))
    return value


def _locate(section, root, photos, depth):
    for key, value in section.items() if isinstance(section, dict) else enumerate(section):
        if isinstance(value, (dict, list)) and key != 'plugins':
            if depth:
                _locate(value, root, photos, depth - 1)
        elif str(key).startswith(PATH_OPTIONS):
            section[key] = [_located(item, root, photos) for item in value] if isinstance(value, list) else \
                _located(value, root, photos)


def _located(path, root, photos):
    """The path where it is absolute, no path, or there; photographs that are still to be made belong to the root."""
    # os.path.exists, as the text of a genotype may be longer than any path: Path.exists would raise an OSError.
    if not isinstance(path, str) or not path or Path(path).expanduser().is_absolute() or os.path.exists(path):
        return path
    is_photo = photos is not None and Path(path).is_relative_to(photos)
    return str(root / path) if is_photo or os.path.exists(root / path) else path


def shipped_option_files():
    """dict[str, Path]: The option files that come with the plugin, by name without ending."""
    return {path.name.removesuffix('.yml'): path for path in _options().iterdir() if path.name.endswith('.yml')}


def option_file_schema():
    """Path: The JSON schema from which editors complete and explain option files."""
    return Path(str(_options() / 'options.schema.json'))


def option_file_page():
    """Path: The page that explains every key of option files."""
    return Path(str(_options() / 'README.md'))


def option_file(name):
    """str: An option file as given, or, where there is no such file, that of the plugin with this name."""
    shipped = shipped_option_files().get(Path(name).name.removesuffix('.yml'))
    inside = Path(name).parent.name in ('', 'options')
    return str(shipped) if shipped and inside and not Path(name).exists() else name


def tool_command(tool):
    """str: How the user calls a command, such as 'train': by the script of a checkout where one was typed, else as
    ``deconas train``."""
    script = CHECKOUT / 'tools' / f'{SCRIPTS.get(tool, tool.replace("-", "_"))}.py'
    if not script.is_file() or Path(sys.argv[0]).stem == COMMAND:
        return f'{COMMAND} {tool}'
    return f'python {typed(script)}'


def typed(path):
    """str: A path as it is typed into a shell, from the current folder where it lies below it."""
    return shlex.quote(shown(path))


def _options():
    return CHECKOUT / 'options' if _in_checkout() else resources.files('deconas_options')


def _in_checkout():
    return (CHECKOUT / 'tools' / 'search.py').is_file()


def shown(path):
    """str: The path from the current folder where it lies below it, else the whole path."""
    path = Path(path).resolve()
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
