"""Options from a file or a dict, with changes from the command line or from Python."""
import re
from copy import deepcopy

import yaml

from deconas_plugin.errors import OptionError
from deconas_plugin.files.option_files import BAD_YAML, read_yaml
from deconas_plugin.files.paths import locate
from deconas_plugin.options.schema import SEARCH_OPTIONS, Key, nearest


def load_options(path, changes=(), known=SEARCH_OPTIONS):
    """Read an option file; relative paths in it are located, see :func:`deconas_plugin.files.paths.locate`.

    Args:
        path (str | Path | dict): YAML file; or the options themselves, which are left as they are.
        changes (list[str] | dict): ``section.key=value``, or ``section:key=value`` as BasicSR's ``--force_yml`` has it;
            the value is YAML, so that ``1e-4`` is text and ``1.0e-4`` a number. The key is one that the file has or
            that is documented; a number chooses from a list: ``search.penalty.0.weight=2``. Or a dict of keys and
            values. There a section may be a dict too, ``{'train': {'total_iter': 100}}``, which changes what it names;
            with a ``type`` in it, it takes the place of the section: ``{'search': {'strategy': {'type': 'random'}}}``.
        known (dict[str, Key]): The documented keys. Default: those of a search, among which all of a training and of a
            test are.

    Returns:
        dict: The options.

    Raises:
        OptionError: The file or a change cannot be read.
    """
    opt = deepcopy(path) if isinstance(path, dict) else read_yaml(path, '-opt')
    if not isinstance(opt, dict):
        raise OptionError(f'-opt: {path}: expected sections such as datasets and network_g, '
                          f'found {type(opt).__name__}')
    place = '' if isinstance(changes, dict) else '--force_yml: '
    pairs = _flat_changes(changes) if isinstance(changes, dict) else map(_read_change, changes or ())
    for key, value in pairs:
        _apply_change(opt, re.split('[.:]', key), deepcopy(value), place, known)
    locate(opt)
    return opt


def _flat_changes(section, prefix=''):
    """Yield key and value of changes that are a dict."""
    for key, value in section.items():
        if isinstance(value, dict) and 'type' not in value:
            yield from _flat_changes(value, f'{prefix}{key}.')
        else:
            yield f'{prefix}{key}', value


def _read_change(change):
    """tuple[str, object]: Key and value of a change as it is typed."""
    keys, equals, value = change.partition('=')
    if not equals or not all(re.split('[.:]', keys.strip())):
        raise OptionError(f'--force_yml: expected section.key=value such as train.total_iter=1000, got {change!r}')
    try:
        return keys.strip(), yaml.safe_load(value)
    except BAD_YAML as error:
        raise OptionError(f'--force_yml: {change!r} holds no YAML value') from error


def _apply_change(opt, names, value, place, known):
    section, key = opt, Key('mapping', '', keys=known)
    for depth, name in enumerate(names, 1):
        name, key = _below(section, name, key, place + '.'.join(names[:depth]))
        if depth == len(names):
            section[name] = value
        elif isinstance(section, dict) and section.get(name) is None:
            section[name] = {}
        section = section[name]


def _below(section, name, key, place):
    """tuple[str | int, Key]: The name, or the index, that a part of a key has in its section, and what is known of it.

    Keywords of a registered type are known to check_options alone.
    """
    anything = Key('any', '')
    if isinstance(section, list):
        if not name.isdecimal() or int(name) >= len(section):
            raise OptionError(f'{place}: expected a number below {len(section)}')
        return int(name), Key('mapping', '', keys=key.keys)
    if not isinstance(section, dict):
        raise OptionError(f'{place}: expected the key of a section, but there is the value {section!r}')
    if key.keys and name not in key.keys and name not in section:
        raise OptionError(f'{place}: unknown option{nearest(name, {**key.keys, **section})}')
    return name, Key('mapping', '', keys=key.each) if key.each else key.keys.get(name, anything)
