"""Writes options/options.schema.json, from which editors complete option files, from the table of the checks.

Run ``python -m`` on this module. What the schema says is what a key may hold by itself; check_options says whether the
values fit each other.
"""
import json
from pathlib import Path

from deconas_plugin.utils.option_docs import keyword_texts, registered
from deconas_plugin.utils.option_schema import COMMON, REQUIRED, SEARCH_OPTIONS

FILE = 'options.schema.json'
TYPES = {'integer': 'integer', 'number': 'number', 'boolean': 'boolean', 'text': 'string', 'name': 'string',
         'list': 'array', 'mapping': 'object'}


def render():
    """str: The schema, of search, training and test options alike."""
    required = [name for name, key in COMMON.items() if key.default is REQUIRED]
    schema = {'$schema': 'http://json-schema.org/draft-07/schema#',
              'title': 'Options of DeCoNAS for BasicSR',
              **_section(SEARCH_OPTIONS, required)}
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
    Path('options', FILE).write_text(render(), encoding='utf-8')
