"""Option files as YAML: read strictly, and written."""
import codecs
from collections.abc import Hashable
from pathlib import Path

import yaml

from deconas_plugin.errors import OptionError
from deconas_plugin.files.atomic import save_text

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
