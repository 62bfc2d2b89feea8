"""The schema from which editors complete option files says what the checks say."""
import json
from pathlib import Path

import pytest
import yaml

from deconas_plugin.options.docs import FILE, render_schema

jsonschema = pytest.importorskip('jsonschema')
OPTIONS = Path(__file__).resolve().parents[2] / 'options'
SHIPPED = [path for path in sorted(OPTIONS.glob('*.yml')) if path.name.startswith(('search', 'train', 'test'))]


@pytest.fixture(scope='module')
def schema():
    return json.loads((OPTIONS / FILE).read_text(encoding='utf-8'))


def messages(schema, opt):
    return [error.message for error in jsonschema.Draft7Validator(schema).iter_errors(opt)]


def test_schema_is_current():
    assert (OPTIONS / FILE).read_text(encoding='utf-8') == render_schema(), \
        'run: python -m deconas_plugin.options.docs'


@pytest.mark.parametrize('path', SHIPPED, ids=lambda path: path.name)
def test_shipped_options_fit_and_name_the_schema(schema, path):
    text = path.read_text(encoding='utf-8')
    first = f'# yaml-language-server: $schema={FILE}\n'
    assert text.startswith(first), f'expected this first line, for editors: {first}'
    assert messages(schema, yaml.safe_load(text)) == []


@pytest.mark.parametrize(('section', 'key', 'value', 'message'), [
    ('train', 'total_itr', 5, "'total_itr' was unexpected"),
    ('train', 'total_iter', '1e4', "'1e4' is not of type 'integer'"),
    ('train', 'precision', 'int8', "'int8' is not one of"),
    ('train', 'frequency_share', 1.5, '1.5 is greater than the maximum of 1'),
    ('datasets', 'train', {'gt_size': '64'}, "'64' is not of type 'integer'"),
    ('search', 'penalty', [{'type': 'params'}], "'weight' is a required property"),
])
def test_mistakes_are_marked(schema, section, key, value, message):
    opt = yaml.safe_load((OPTIONS / 'search_x2_quick.yml').read_text())
    opt[section][key] = value
    assert any(message in found for found in messages(schema, opt))


def test_keys_are_explained_and_types_offered(schema):
    strategy = schema['properties']['search']['properties']['strategy']
    assert {'reinforce', 'random', 'evolution'} <= set(strategy['properties']['type']['examples'])
    assert 'reinforce: ' in strategy['properties']['entropy_weight']['description']
    assert schema['properties']['train']['properties']['ema_warmup']['description'].startswith('Whether that average')
