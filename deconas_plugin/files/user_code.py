"""The user's own Python files: operations, measures, strategies and networks that register themselves."""
import importlib.util
import sys
from pathlib import Path

from deconas_plugin.errors import OptionError


def import_user_code(opt):
    """Import what the option ``plugins`` names, each once.

    Args:
        opt (dict): Options; ``plugins`` is a list of Python files, from the current folder, or importable modules.

    Raises:
        OptionError: One of them is not there.
    """
    plugins = opt.get('plugins') or []
    if not isinstance(plugins, list):
        raise OptionError(f'plugins: expected a list of Python files or modules, got {plugins!r}')
    for plugin in plugins:
        if not isinstance(plugin, str) or not plugin or plugin.startswith('.') and not plugin.endswith('.py'):
            raise OptionError(f'plugins: expected a Python file or an importable module, got {plugin!r}')
        if plugin.endswith('.py'):
            _import_file(Path(plugin))
        else:
            _import_module(plugin)


def _import_module(name):
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name and not name.startswith(f'{error.name}.'):
            raise
        raise OptionError(f'plugins: no module named {name!r}; expected a Python file or an importable '
                          'module') from error


def _import_file(path):
    if not path.is_file():
        raise OptionError(f'plugins: {path}: no such file')
    # Named by the whole path: two files of one name are two modules, and one file registers its types only once.
    name = f'deconas_user_code:{path.resolve()}'
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            # A second attempt shall fail in the same way, not pass with half of its types.
            del sys.modules[name]
            raise
