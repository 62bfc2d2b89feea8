"""Writes options/README.md and options/options.schema.json from what the checks know, so that they cannot drift."""
import inspect
import json
import re
from pathlib import Path

from basicsr.utils.registry import ARCH_REGISTRY, MODEL_REGISTRY

from deconas_plugin.options.check_keys import option_keywords
from deconas_plugin.options.defaults import WITHOUT_ROUNDS
from deconas_plugin.options.schema import COMMON, LEAGUE_OPTIONS, REQUIRED, SEARCH_OPTIONS
from deconas_plugin.search.penalty import MEASURES
from deconas_plugin.search.strategy import STRATEGIES
from deconas_plugin.space.spaces import SPACES

TITLES = {
    '': '## Top level',
    'search.reward.dataset': '## `datasets.*` and `search.reward.dataset`',
    'search.reward.dataset.io_backend': '## `datasets.*.io_backend`',
    'train': '## `train` and `derive.train`',
}
HEAD = """# Options

An option file is a YAML file of BasicSR with a few more keys. It is checked before any folder is made: unknown keys,
numbers given as text (YAML reads `1e-4` as text: write `!!float 1e-4` or `0.0001`), and values that do not fit each
other are errors that name the key. A key that has a default may be left out or be `~`; where a whole number belongs,
`!!float 5e3` is one. Search files have all sections below; training files have no `network_c`, `search` and `derive`;
test files have neither `train` nor `logger`. `--force_yml section.key=value` changes a key of the file or adds one of
those below. Editors that read JSON schemas complete and explain keys by
`options.schema.json`, which the first line of each file names.

| file | what it does |
|---|---|
| `search_x2_quick.yml` | a first look in minutes, on photographs that come with scikit-image |
| `search_x2.yml`, `search_x3.yml`, `search_x4.yml` | the search of the paper on DIV2K |
| `search_x2_75G.yml` | a search for the best network of at most 75 G Mult-Adds @720p |
| `search_x2_light.yml` | the best network of at most 25 G Mult-Adds @720p in the light space, on DIV2K: no weights \
are shared, candidates train alone and halve, then their children |
| `search_x2_25G.yml` | the same on fewer photographs, 40 minutes of a CPU core |
| `search_x2_light_quick.yml` | a first look at it in minutes, on photographs that come with scikit-image |
| `train_DeCoNASNet_x2.yml`, `train_DeCoNASNet_x3.yml`, `train_DeCoNASNet_x4.yml` | the published network, from \
scratch |
| `train_DeCoNASNet_x3_from_x2.yml`, `train_DeCoNASNet_x4_from_x2.yml` | the same, started from the x2 one |
| `train_DeCoNASNet_x2_short.yml` | the published network, trained briefly on a CPU |
| `train_DeCoNASNet_x2_more.yml` | the published network, trained on from the end of the last one |
| `train_DeCoNASNet_x2_75G.yml`, `train_DeCoNASNet_x2_24G.yml`, `train_DeCoNASNet_x2_23G.yml`, \
`train_DeCoNASNet_x2_23G_deep.yml`, `train_DeCoNASNet_x2_25G.yml`, `train_DeCoNASNet_x3_34G.yml`, \
`train_DeCoNASNet_x3_11G.yml`, `train_DeCoNASNet_x4_19G.yml`, `train_DeCoNASNet_x4_6G.yml` | the light networks of \
the model zoo |
| `league_x2_25G.yml`, `league_x2_75G.yml` | networks within a budget, trained alike and ranked |
| `league_x2_choices.yml` | a drawn network of the light space, and others that differ from it in one choice each |
| `test_DeCoNASNet_x2.yml`, `test_DeCoNASNet_x3.yml`, `test_DeCoNASNet_x4.yml` | the published network on \
Set5, Set14, B100 and Urban100 |

"""
FILE = 'options.schema.json'
# JSON's words for the kinds of keys.
TYPES = {'integer': 'integer', 'number': 'number', 'boolean': 'boolean', 'text': 'string', 'name': 'string',
         'list': 'array', 'mapping': 'object'}


def render():
    """str: The whole page."""
    sections, blocks = [], []
    _collect('', SEARCH_OPTIONS, sections)
    for name, keys in sections:
        title = TITLES.get(name, f'## `{name}`')
        blocks.append(f'{title}\n\n{_table(_rows(keys))}')
    blocks.append('# Leagues\n\nThe file of `deconas league`. Its `datasets` and `train` have the keys above.')
    for title, keys in (('## Top level of a league', LEAGUE_OPTIONS), ('## `members`', LEAGUE_OPTIONS['members'].keys),
                        ('## `datasets` of a league', LEAGUE_OPTIONS['datasets'].keys)):
        blocks.append(f'{title}\n\n{_table(_rows(keys))}')
    blocks.append('# Registered types\n\nTheir keywords are the keys beside `type`.')
    for place, name, target in registered():
        # Measures and models are called by the search, not built from keywords.
        body = _first_line(target) if place in ('search.penalty', 'model_type') else _table(_keywords(target))
        blocks.append(f'## `{name}` ({place})\n\n{body}')
        if name == 'DeCoNASSuperNet':
            blocks.append(f'What is left out is as `space` says. Lists are choices of the search; a single value in '
                          f'their place fixes it.\n\n{_spaces()}')
    return HEAD + '\n\n'.join(blocks) + '\n'


def _rows(keys):
    return [(f'`{key}`', option.kind, _default(option.default), _meaning(option)) for key, option in keys.items()]


def _collect(name, keys, sections):
    sections.append((name, keys))
    for key, option in keys.items():
        if option.keys and (name, key) != ('derive', 'train'):
            _collect(f'{name}.{key}' if name else key, option.keys, sections)


def _spaces():
    """str: Table of what the named spaces say."""
    rows = [['key', *(f'`space: {name}`' for name in SPACES)], ['---'] * (1 + len(SPACES))]
    rows += [[f'`{key}`', *(_default(space[key]) for space in SPACES.values())] for key in SPACES['paper']]
    return '\n'.join('| ' + ' | '.join(row) + ' |' for row in rows)


def registered():
    """Yield what option files may name: place, name and class or function."""
    for name in ('DeCoNASNet', 'DeCoNASSuperNet'):
        yield 'network_g', name, ARCH_REGISTRY.get(name)
    yield 'network_c', 'DeCoNASController', ARCH_REGISTRY.get('DeCoNASController')
    for name, strategy in STRATEGIES.module_dict.items():
        yield 'search.strategy', name, strategy
    for name, measure in MEASURES.module_dict.items():
        yield 'search.penalty', name, measure
    for name in ('DeCoNASModel', 'DeCoNASSearchModel'):
        yield 'model_type', name, MODEL_REGISTRY.get(name)


def _keywords(target):
    """list[tuple]: Rows of the keywords that an option file may give, from signature and docstring."""
    texts, rows = keyword_texts(target), []
    for name, parameter in option_keywords(target).items():
        default = REQUIRED if parameter.default is parameter.empty else parameter.default
        rows.append((f'`{name}`', '', _default(default), texts[name]))
    return rows


def keyword_texts(target):
    """dict[str, str]: What the docstring says of each keyword that an option file may give, without its default."""
    texts, names = {}, []
    _, _, arguments = inspect.getdoc(target).partition('Args:\n')
    for line in arguments.split('\n\n')[0].splitlines():
        head = re.match(r' {4}(\w[\w, ]*) \([^)]*\): (.*)', line)
        if head:
            names, line = head[1].split(', '), head[2]
        for name in names:
            texts[name] = f'{texts.get(name, "")} {line.strip()}'.strip()
    return {name: re.sub(r'\s*Default:.*', '', texts[name]).replace('``', '`') for name in option_keywords(target)}


def _first_line(target):
    return inspect.getdoc(target).split('\n\n')[0].replace('\n', ' ').removeprefix('float: ')


def _default(value):
    if value is REQUIRED:
        return 'required'
    if value is None:
        return '~'
    if isinstance(value, tuple):
        return f'`[{", ".join(f"{item:.4f}" if isinstance(item, float) else str(item) for item in value)}]`'
    return f'`{str(value).lower() if isinstance(value, bool) else value}`'


def _meaning(option):
    choices = f' One of {", ".join(f"`{choice}`" for choice in option.choices)}.' if option.choices else ''
    return f'{option.meaning}.{choices}'


def _table(rows):
    kinds = any(row[1] for row in rows)
    head = ['key', 'kind', 'default', 'meaning'] if kinds else ['key', 'default', 'meaning']
    lines = [head, ['---'] * len(head)] + [row if kinds else (row[0], *row[2:]) for row in rows]
    return '\n'.join('| ' + ' | '.join(line) + ' |' for line in lines)


def render_schema():
    """str: The schema, of search, training and test options alike."""
    required = [name for name, key in COMMON.items() if key.default is REQUIRED]
    schema = {'$schema': 'http://json-schema.org/draft-07/schema#',
              'title': 'Options of DeCoNAS for BasicSR',
              **_section(SEARCH_OPTIONS, required)}
    for section, unused in WITHOUT_ROUNDS.items():
        required = schema['properties'][section]['required']
        required[:] = [key for key in required if key not in unused]
    for place in ('network_g', 'network_c', 'search.strategy', 'search.penalty'):
        _complete_types(schema, place)
    return json.dumps(schema, indent=1) + '\n'


def _section(keys, required=None):
    if required is None:
        required = [name for name, key in keys.items() if key.default is REQUIRED]
    section = {'type': 'object', 'properties': {name: _value(key) for name, key in keys.items()},
               'additionalProperties': False}
    return {**section, 'required': required} if required else section


def _value(key):
    value = {'description': f'{key.meaning}.'}
    if key.kind in TYPES:
        kind = TYPES[key.kind]
        value['type'] = [kind, 'null'] if key.nullable else kind
    if key.choices:
        value['enum'] = [*key.choices, *([None] if key.nullable else [])]
    limits = {'minimum': key.minimum, 'exclusiveMinimum': key.above, 'maximum': key.maximum}
    value.update({name: limit for name, limit in limits.items() if limit is not None})
    if key.default not in (None, REQUIRED):
        value['default'] = key.default
    if key.keys and key.kind == 'list':
        value['items'] = _section(key.keys)
    elif key.keys:
        value.update({**_section(key.keys), 'type': value['type']})
    if key.each:  # datasets of other classes have other keys
        value['additionalProperties'] = {'type': 'object', 'properties': _section(key.each)['properties']}
    return value


def _complete_types(schema, place):
    """Name what is registered at a place, and the keywords of all of it; what users register is as good."""
    section = schema
    for name in place.split('.'):
        section = section['properties'][name]
    section = section.get('items', section)
    properties = section.setdefault('properties', {})
    found = [(name, target) for where, name, target in registered() if where == place]
    properties.setdefault('type', {'type': 'string'})['examples'] = [name for name, _ in found]
    if place != 'search.penalty':  # measures have the keys of every term
        for name, target in found:
            for keyword, text in keyword_texts(target).items():
                known = properties.setdefault(keyword, {'description': ''})
                known['description'] = f'{known["description"]} {name}: {text}'.strip()


if __name__ == '__main__':
    Path('options', 'README.md').write_text(render(), encoding='utf-8')
    Path('options', FILE).write_text(render_schema(), encoding='utf-8')
