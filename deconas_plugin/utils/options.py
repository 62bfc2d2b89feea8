"""Option files: read, changed from the command line, written."""
import codecs
import re
from collections.abc import Hashable
from copy import deepcopy
from pathlib import Path

import yaml

from deconas_plugin.errors import OptionError
from deconas_plugin.utils.atomic import save_text
from deconas_plugin.utils.option_schema import SEARCH_OPTIONS, Key, nearest
from deconas_plugin.utils.paths import locate

# Besides its own errors PyYAML lets through what its constructors raise, such as for the date 2020-13-45.
BAD_YAML = (AttributeError, LookupError, RecursionError, TypeError, ValueError, yaml.YAMLError)


class _StrictLoader(yaml.SafeLoader):
    """YAML in which no key stands twice in a section: PyYAML takes the last one in silence."""

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key_node, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            key = self.construct_object(key_node, deep=True)
            # What merges another section into this one may be overridden: that is what it is for.
            if key_node.tag != 'tag:yaml.org,2002:merge' and isinstance(key, Hashable):
                if key in seen:
                    raise DuplicateKeyError(f'line {key_node.start_mark.line + 1}: the key {key!r} stands twice in '
                                            'one section; leave one of them out')
                seen.add(key)
        return super().construct_mapping(node, deep)


class DuplicateKeyError(ValueError):
    """A key stands twice."""


def read_yaml(path, key):
    """What a YAML file of a user holds.

    Args:
        path (str | Path): The file, in UTF-8, or in UTF-16 with a byte order mark.
        key (str): The option that named it, for messages.

    Raises:
        OptionError: It cannot be read, is no YAML, or a key stands twice in a section.
    """
    try:
        return yaml.load(Path(path).read_bytes(), _StrictLoader)
    except OSError as error:
        raise OptionError(f'{key}: cannot read {path}: {error.strerror}') from error
    except DuplicateKeyError as error:
        raise OptionError(f'{key}: {path}, {error}') from error
    except (UnicodeDecodeError, yaml.reader.ReaderError) as error:
        raise OptionError(f'{key}: {path} is not in UTF-8 ({" ".join(str(error).split())}); save it in UTF-8'
                          ) from error
    except BAD_YAML as error:
        raise OptionError(f'{key}: {path} is no YAML file: {" ".join(str(error).split())}') from error


def read_text(path):
    """str: An option file that :func:`read_yaml` has read."""
    content = Path(path).read_bytes()
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode('utf-16' if utf16 else 'utf-8-sig')


def load_options(path, changes=()):
    """Read an option file; relative paths in it are located, see :func:`deconas_plugin.utils.paths.locate`.

    Args:
        path (str | Path | dict): YAML file; or the options themselves, which are left as they are.
        changes (list[str] | dict): ``section.key=value``, or ``section:key=value`` as BasicSR's ``--force_yml`` has it;
            the value is YAML, so that ``1e-4`` is text and ``1.0e-4`` a number. The key is one that the file has or
            that is documented; a number chooses from a list: ``search.penalty.0.weight=2``. Or a dict of keys and
            values. There a section may be a dict too, ``{'train': {'total_iter': 100}}``, which changes what it names;
            with a ``type`` in it, it takes the place of the section: ``{'search': {'strategy': {'type': 'random'}}}``.

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
        _apply_change(opt, re.split('[.:]', key), deepcopy(value), place)
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


def _apply_change(opt, names, value, place):
    section, key = opt, Key('mapping', '', keys=SEARCH_OPTIONS)
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
    save_text(head + option_text(opt), path)


def option_text(opt):
    """str: Options as an option file."""
    return yaml.safe_dump(plain(opt), sort_keys=False, width=120)


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
