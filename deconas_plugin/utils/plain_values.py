"""What YAML can say and options cannot: keys that are no text, dates, NaN, sections that contain themselves."""
import math

from deconas_plugin.errors import OptionError

DEEPEST = 20


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
