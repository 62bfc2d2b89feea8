"""What one section may say: names, kinds and ranges of keys by the schema, keywords by what its type names."""
import inspect
from decimal import Decimal, InvalidOperation

from deconas_plugin.errors import OptionError
from deconas_plugin.options.check_text import check_name
from deconas_plugin.options.schema import REQUIRED, Key, nearest

KINDS = {
    'integer': (int, 'a whole number'),
    'number': ((int, float), 'a number'),
    'boolean': (bool, 'true or false'),
    'text': (str, 'text'),
    'name': (str, 'text'),
    'list': (list, 'a list'),
    'mapping': (dict, 'a section with keys'),
    'any': (object, 'a value'),
}
# BasicSR fills these in; a constructor may have them, an option file may not.
FILLED_IN = {'self', 'space', 'controller', 'counter', 'seed', 'params', 'optimizer', 'img', 'img2', 'opt',
             'total_iter', 'warmup_iter'}


def check_section(section, keys, prefix):
    """Check names, kinds and ranges of a section.

    Args:
        section (dict): What a file says.
        keys (dict[str, Key]): What it may say.
        prefix (str): Place of the section for messages, with a dot at its end.

    Raises:
        OptionError: A key is unknown or missing, or has another kind or value than it may have.
    """
    for name, value in section.items():
        if name not in keys:
            raise OptionError(f'{prefix}{name}: unknown option{nearest(name, keys)}')
        _check_value(value, keys[name], f'{prefix}{name}')
    missing = [name for name, key in keys.items() if key.default is REQUIRED and name not in section]
    if missing:
        raise OptionError(f'{prefix}{missing[0]}: missing; expected {KINDS[keys[missing[0]].kind][1]}: '
                          f'{keys[missing[0]].meaning}')


def _check_value(value, key, name):
    if value is None and key.nullable:
        return
    expected_type, expected = KINDS[key.kind]
    if not isinstance(value, expected_type) or (isinstance(value, bool) and key.kind in ('integer', 'number')):
        raise OptionError(f'{name}: expected {expected}, got {value!r}{_number_hint(value)}')
    if key.minimum is not None and value < key.minimum:
        raise OptionError(f'{name}: expected at least {key.minimum}, got {value!r}')
    if key.above is not None and not value > key.above:
        raise OptionError(f'{name}: expected more than {key.above}, got {value!r}')
    if key.maximum is not None and value > key.maximum:
        raise OptionError(f'{name}: expected at most {key.maximum}, got {value!r}')
    if key.kind == 'name' and value != key.default:
        check_name(value, name)
    if key.choices and value not in key.choices:
        raise OptionError(f'{name}: expected one of {", ".join(map(str, key.choices))}, got {value!r}')
    if key.keys:
        for index, section in enumerate(value if key.kind == 'list' else [value]):
            place = f'{name}[{index}]' if key.kind == 'list' else name
            if not isinstance(section, dict):
                raise OptionError(f'{place}: expected a section with keys, got {section!r}')
            check_section(section, key.keys, f'{place}.')


def _number_hint(value):
    """str: How to write a number that YAML has read as text, as it does with 1e-4; nothing for other values."""
    try:
        return f' (text); write {Decimal(value):f}' if isinstance(value, str) else ''
    except InvalidOperation:
        return ''


def _registered(registry):
    """dict: name -> class or function of a registry of BasicSR or mmengine, or of a plain dict."""
    if isinstance(registry, dict):
        return {name: value for name, value in registry.items() if inspect.isclass(value)}
    return registry.module_dict if hasattr(registry, 'module_dict') else dict(iter(registry))


def check_type(name, registry, key):
    """The class or function that a type names.

    Args:
        name (str): What the options say.
        registry (Registry | dict): Of BasicSR or mmengine, or classes by name.
        key (str): The option's name, for the message.

    Raises:
        OptionError: Nothing is registered under this name.
    """
    known = _registered(registry)
    # As BasicSR itself finds those that it registers under a longer name.
    name = f'{name}_basicsr' if f'{name}_basicsr' in known and name not in known else name
    if not isinstance(name, str) or name not in known:
        raise OptionError(f'{key}: nothing is registered as {name!r}{nearest(name, known)}')
    return known[name]


def check_keywords(section, registry, name, extra=()):
    """Check the keywords of a section against the constructor that its type names, and numbers against defaults.

    Args:
        section (dict): With a ``type``.
        registry (Registry | dict): As for :func:`check_type`.
        name (str): The place of the section, for messages.
        extra (tuple[str]): Keys that the section may have besides.

    Raises:
        OptionError: The type or a keyword is unknown, one is missing, or of another kind than its default.
    """
    if not isinstance(section, dict):
        raise OptionError(f'{name}: expected a section with keys, got {section!r}')
    target = check_type(section.get('type'), registry, f'{name}.type')
    parameters = inspect.signature(target).parameters
    keywords = set(option_keywords(target)) | {'type', *extra}
    for key, value in section.items():
        if key not in keywords:
            raise OptionError(f'{name}.{key}: {section["type"]} has no such option{nearest(key, keywords)}')
        default = parameters[key].default if key in parameters else None
        if (hint := _number_hint(value)) and not isinstance(default, str):
            raise OptionError(f'{name}.{key}: expected a number, got {value!r}{hint}')
        if isinstance(default, (bool, int)) and value is not None:
            kind = 'boolean' if isinstance(default, bool) else 'number'
            _check_value(value, Key(kind, ''), f'{name}.{key}')
    for key, parameter in parameters.items():
        needed = parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
        if needed and key not in FILLED_IN and key not in section:
            raise OptionError(f'{name}.{key}: missing; {section["type"]} needs it')


def option_keywords(target):
    """dict[str, Parameter]: The keywords of a constructor that an option file may give."""
    parameters = inspect.signature(target).parameters
    # Where a space has a default, it is the name of one, not what the search fills in.
    named_space = 'space' in parameters and parameters['space'].default is not inspect.Parameter.empty
    filled_in = FILLED_IN - {'space'} if named_space else FILLED_IN
    return {name: parameter for name, parameter in parameters.items() if name not in filled_in}
