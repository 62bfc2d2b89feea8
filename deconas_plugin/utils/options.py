"""Option files: read, changed from the command line, written."""
from pathlib import Path

import yaml

from deconas_plugin.errors import OptionError
from deconas_plugin.utils.atomic import save_text

# Besides its own errors PyYAML lets through what its constructors raise, such as for the date 2020-13-45.
BAD_YAML = (AttributeError, LookupError, RecursionError, TypeError, ValueError, yaml.YAMLError)


def load_options(path, changes=()):
    """Read an option file.

    Args:
        path (str | Path): YAML file.
        changes (list[str]): ``section:key=value`` as for BasicSR's ``--force_yml``; the value is YAML, so that
            ``1e-4`` is text and ``1.0e-4`` a number. The key must be in the file.

    Returns:
        dict: The options.

    Raises:
        OptionError: The file or a change cannot be read.
    """
    try:
        opt = yaml.safe_load(Path(path).read_text(encoding='utf-8'))
    except OSError as error:
        raise OptionError(f'-opt: cannot read {path}: {error.strerror}') from error
    except BAD_YAML as error:
        raise OptionError(f'-opt: {path} is no YAML file: {" ".join(str(error).split())}') from error
    if not isinstance(opt, dict):
        raise OptionError(f'-opt: {path}: expected sections such as datasets and network_g, '
                          f'found {type(opt).__name__}')
    for change in changes or ():
        _apply_change(opt, change)
    return opt


def _apply_change(opt, change):
    keys, equals, value = change.partition('=')
    *sections, last = keys.strip().split(':')
    section = opt
    for key in sections:
        section = section.get(key) if isinstance(section, dict) else None
    if not equals or not isinstance(section, dict) or last not in section:
        raise OptionError(f'--force_yml: expected section:key=value with a key of the option file, got {change!r}')
    try:
        section[last] = yaml.safe_load(value)
    except BAD_YAML as error:
        raise OptionError(f'--force_yml: {change!r} holds no YAML value') from error


def save_options(opt, path, comment=''):
    """Write options.

    Args:
        opt (dict): Plain values.
        path (str | Path): The file.
        comment (str): Lines for its head, without '#'.

    Raises:
        StorageError: It could not be written.
    """
    head = ''.join(f'# {line}\n' for line in comment.splitlines())
    save_text(head + yaml.safe_dump(plain(opt), sort_keys=False, width=120), path)


def plain(value):
    """Options as dicts and lists alone."""
    # BasicSR's parser gives OrderedDicts, constructors tuples; YAML files hold neither.
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def flat_options(section, prefix=''):
    """dict: The values of all sections within a section, by their names such as ``train.optim_g.lr``."""
    flat = {}
    for key, value in section.items():
        flat.update(flat_options(value, f'{prefix}{key}.') if isinstance(value, dict) else {f'{prefix}{key}': value})
    return flat
