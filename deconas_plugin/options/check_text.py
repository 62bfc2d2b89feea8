"""What YAML can say and options cannot, and names that become parts of file names, web pages and logs."""
import math
import re

from deconas_plugin.errors import OptionError
from deconas_plugin.files.paths import DEEPEST

# Of a name in UTF-8: file systems take 255, and more is put before and after it.
MAX_BYTES = 150
# What paths, shells, file systems or HTML give a meaning of its own.
FORBIDDEN = '/\\<>:"|?*&\'`$%#;{}'
# Devices of Windows, with any ending.
DEVICES = re.compile(r'(con|prn|aux|nul|com\d|lpt\d)(\..*)?', re.IGNORECASE)


def check_name(value, key):
    """Check a name.

    Args:
        value (str): The name.
        key (str): The option's name, for the message.

    Raises:
        OptionError: It is empty, too long, or holds what a path, a file system or HTML does not take as it stands.
    """
    problem = _problem(value)
    if problem:
        raise OptionError(f'{key}: expected a name of letters, digits, spaces and . _ - + = @ ( ) [ ] , ~ ^ !, as it '
                          f'becomes part of file names; {value!r} {problem}')


def _problem(value):
    if not value:
        return 'is empty'
    if forbidden := [char for char in value if char in FORBIDDEN or not char.isprintable()]:
        return f'has {forbidden[0]!r}'
    if value[0] in ' .-~' or value[-1] in ' .':
        return 'begins with a space, dot, minus or tilde, or ends in a space or dot'
    if DEVICES.fullmatch(value):
        return 'is a device of Windows'
    if len(value.encode(errors='replace')) > MAX_BYTES:
        return f'has more than {MAX_BYTES} bytes'
    return None


def check_plain(section, place='', depth=0):
    """Check that options are sections and lists of text, finite numbers, true, false and ~.

    Raises:
        OptionError: Something else is among them.
    """
    if depth > DEEPEST:
        raise OptionError(f'{place}: expected at most {DEEPEST} sections inside each other')
    if isinstance(section, dict):
        for key, value in section.items():
            if not isinstance(key, str):
                raise OptionError(f'{place + "." if place else ""}{key!r}: expected text as a key; write it in quotes')
            check_plain(value, f'{place}.{key}' if place else key, depth + 1)
    elif isinstance(section, list):
        for index, value in enumerate(section):
            check_plain(value, f'{place}[{index}]', depth + 1)
    elif isinstance(section, float) and not math.isfinite(section):
        raise OptionError(f'{place}: expected a finite number, got {section!r}')
    elif isinstance(section, str) and not section.isprintable():
        raise OptionError(f'{place}: expected text of printable characters, got {section!r}')
    elif section is not None and not isinstance(section, (str, int, float)):
        raise OptionError(f'{place}: expected text, a number, true, false, ~, a list or a section, got {section!r}')
