"""Any option file runs, or is refused in one line before a folder is touched: every documented key, and mutations."""
import copy
import inspect
import random
from pathlib import Path

import pytest
import torch
import yaml
from basicsr.losses.basic_loss import L1Loss
from basicsr.metrics import calculate_psnr
from basicsr.models.lr_scheduler import MultiStepRestartLR
from helpers import changed
from two_steps import base_options, run_two_steps

from deconas_plugin.archs.controller_arch import DeCoNASController
from deconas_plugin.archs.deconas_arch import DeCoNASNet
from deconas_plugin.archs.deconas_supernet_arch import DeCoNASSuperNet
from deconas_plugin.options.check_keys import check_section
from deconas_plugin.options.defaults import SCHEMAS
from deconas_plugin.options.read import load_options
from deconas_plugin.options.schema import DATASET, REQUIRED
from deconas_plugin.search.reinforce import Reinforce

ROOT = Path(__file__).resolve().parents[2]
TASKS = ('search', 'train', 'test')
# Keys of which the default means something only together with another key, which the bases do not have.
NEEDED = {'train.pixel_opt', 'derive.train.pixel_opt'}
# Keys whose largest value is more work than a test can wait for: it is checked alone.
ENDLESS = {'search.num_samples'}


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    """Where runs happen, and base options by task."""
    root = tmp_path_factory.mktemp('runs')
    return root, base_options(root / 'data')


def documented(task):
    """list[tuple[str, Key]]: Every key of an option file that may be left out, by its place."""
    found = []

    def collect(keys, place):
        for name, key in keys.items():
            here = f'{place}{name}'
            if key.default is not REQUIRED:
                found.append((here, key))
            if key.keys and key.kind == 'mapping':
                collect(key.keys, f'{here}.')
            elif key.keys:
                collect(key.keys, f'{here}.0.')

    collect(SCHEMAS[task], '')
    for phase in ('test_1', ) if task == 'test' else ('train', 'val'):
        collect(DATASET, f'datasets.{phase}.')
    return found


def edges(key):
    """list: Values at which a key is documented to change what it takes."""
    values = {'boolean': [True, False], 'integer': [key.minimum, key.maximum], 'number': [key.minimum, key.maximum]}
    found = list(key.choices) + values.get(key.kind, [])
    if key.above is not None:
        found.append(1e-6)
    if key.kind == 'integer':
        found += [float(number) for number in found if number is not None]
    found += {'mapping': [{}], 'list': [[]]}.get(key.kind, [])
    return [value for value in found if value is not None]


def bundles(task, options):
    """dict[str, dict]: Options with all keys left out, all ``~``, and all at their defaults."""
    found = {}
    for name in ('left out', '~', 'default'):
        opt = options
        for place, key in documented(task):
            if place in NEEDED or place.startswith(('logger.wandb.', 'derive.halving.')):
                continue
            if key.kind == 'mapping' and name == 'default' and key.default is None and key.keys:
                continue
            opt = changed(opt, place, {'left out': ..., '~': None, 'default': key.default}[name])
        found[name] = opt
    return found


@pytest.mark.parametrize('task', TASKS)
@pytest.mark.parametrize('kind', ['left out', '~', 'default'])
def test_all_documented_defaults_at_once(world, task, kind):
    root, bases = world
    outcome = run_two_steps(task, bundles(task, bases[task])[kind], root)
    assert outcome.code == 0, outcome.error


@pytest.mark.parametrize('place', ['val', 'datasets.train.batch_size_per_gpu', 'datasets.train.num_worker_per_gpu',
                                   'datasets.train.gt_size', 'datasets.train.use_hflip', 'val.save_img', 'val.suffix'])
def test_a_default_of_each_kind_alone(world, place):
    root, bases = world
    task = 'test' if place.startswith('val.') else 'train'
    options = changed(bases[task], 'datasets.train.type', 'PairedImageDataset') if 'hflip' in place else bases[task]
    for value in (..., None):
        outcome = run_two_steps(task, changed(options, place, value), root)
        assert outcome.code == 0, (value, outcome.error)


@pytest.mark.slow
@pytest.mark.parametrize('task', TASKS)
def test_every_documented_key_alone(world, task):
    root, bases = world
    for place, key in documented(task):
        for value in (..., None, key.default):
            outcome = run_two_steps(task, changed(bases[task], place, value), root)
            expected = (2, ) if place in NEEDED else (0, )
            # A section that is there needs what it requires.
            makes_section = place.count('.') > 2 or place.startswith('derive.halving.')
            assert outcome.is_fine and (outcome.code in expected or makes_section), (place, value, outcome)
        for value in edges(key):
            if value == key.maximum and place in ENDLESS:
                check_section({place: key.maximum}, {place: key}, '')
                continue
            outcome = run_two_steps(task, changed(bases[task], place, value), root)
            assert outcome.is_fine, (place, value, outcome)


def test_every_key_of_every_shipped_file_is_documented(world):
    for path in sorted((ROOT / 'options').glob('*.yml')):
        task = path.name.split('_')[0]
        places = {place.split('.')[-1] for place, _ in documented(task)}
        opt = load_options(path)
        for section, keys in SCHEMAS[task].items():
            if isinstance(opt.get(section), dict) and keys.keys:
                assert set(opt[section]) <= set(keys.keys), path
        assert places


VALUES = [None, True, False, 0, -1, 1, 2, 3, 16, 1.0, 2.0, 5000.0, 10**30, 2**33, 0.5, float('nan'), float('inf'), '',
          'x', '1e-4', 'none', '~', 'auto', 'Auto', '..', 'a/b', '<b>', [], [1], [None], ['x'], [[]], [{}], {},
          {'type': 'L1Loss'}, {'type': 'Adam', 'lr': 1.0}, {'type': None}, {'type': []}, {1: 2}, {None: None},
          '111 100010', 'DeCoNASNet', 'SRModel', 'PairedImageDataset', 'SingleImageDataset', 'EDSR', 'SGD', 'LBFGS',
          'cuda', 'cpu', 'lmdb', 'disk', 'lower', '/nonexistent', '\x00', '0001-0002', 'calculate_niqe', 'y']
TYPES = ['L1Loss', 'MSELoss', 'CharbonnierLoss', 'GANLoss', 'PerceptualLoss', 'SGD', 'AdamW', 'LBFGS', 'SparseAdam',
         'EDSR', 'MSRResNet', 'RRDBNet', 'SRVGGNetCompact', 'EDVR', 'SRModel', 'SwinIRModel', 'ESRGANModel',
         'VideoBaseModel', 'PairedImageDataset', 'SingleImageDataset', 'REDSDataset', 'FFHQDataset', 'evolution',
         'random', 'nsga2', 'mult_adds', 'paper', 'latency', 'calculate_ssim', 'calculate_niqe', 'calculate_psnr_pt',
         'MultiStepRestartLR', 'CosineAnnealingRestartLR', 'WarmupCosineLR', 'DeCoNASPatchDataset', 'lmdb', 'disk']


def keywords(target):
    return [name for name, parameter in inspect.signature(target).parameters.items()
            if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)]


KEYWORDS = {'DeCoNASNet': keywords(DeCoNASNet), 'DeCoNASSuperNet': keywords(DeCoNASSuperNet),
            'DeCoNASController': keywords(DeCoNASController), 'reinforce': keywords(Reinforce),
            'Adam': keywords(torch.optim.Adam), 'MultiStepLR': keywords(MultiStepRestartLR),
            'L1Loss': keywords(L1Loss), 'calculate_psnr': keywords(calculate_psnr)}


def mutated(options, task, rng):
    """A copy with up to three places changed: values, keys, whole sections, documented keys, types."""
    options = copy.deepcopy(options)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        places = [(options, key) for key in options]
        for section, key in places:
            value = section[key]
            if isinstance(value, (dict, list)):
                places += [(value, index) for index in (value if isinstance(value, dict) else range(len(value)))]
        if not places:
            return options
        section, key = rng.choice(places)
        action = rng.choices(['replace', 'delete', 'rename', 'add', 'move', 'document', 'type', 'number', 'keyword'],
                             [3, 2, 1, 1, 1, 9, 2, 4, 4])[0]
        if action in ('delete', 'rename'):
            value = section.pop(key)
            if action == 'rename' and isinstance(section, dict):
                section[rng.choice([f'{key}x', key * 2 if isinstance(key, str) else key, 7, None, 'type'])] = value
        elif action == 'add' and isinstance(section, dict):
            section[rng.choice(['type', 'keys', 'unknown', 5, 'scale', True])] = rng.choice(VALUES)
        elif action == 'move':
            other, other_key = rng.choice(places)
            section[key] = copy.deepcopy(other[other_key])
        elif action == 'document':
            place, described = rng.choice(documented(task))
            try:
                near = [*edges(described), None, described.default, ...]
                options = changed(options, place, rng.choice(near if rng.random() < 0.8 else VALUES))
            except (AttributeError, IndexError, KeyError, TypeError):
                continue  # no such section any more
        elif action == 'type':
            types = [(section, key) for section, key in places if key in ('type', 'model_type')]
            if types:
                section, key = rng.choice(types)
                section[key] = rng.choice(TYPES)
        elif action == 'number':
            numbers = [(section, key) for section, key in places if type(section[key]) in (int, float)]
            section, key = rng.choice(numbers or [(section, key)])
            if numbers:
                value = section[key]
                section[key] = rng.choice([value + 1, float(value), float(value), -value, value * 10, value / 2])
        elif action == 'keyword':
            typed = [section[key] for section, key in places
                     if isinstance(section[key], dict) and isinstance(section[key].get('type'), str)]
            if typed:
                chosen = rng.choice(typed)
                chosen[rng.choice(KEYWORDS.get(chosen['type'], ['type']))] = copy.deepcopy(rng.choice(VALUES))
        else:
            section[key] = copy.deepcopy(rng.choice(VALUES))
    return options


def mutated_file(options, rng):
    """bytes: A file with up to four pieces of other YAML, or of none, in it."""
    pieces = [b'\n', b': ', b'- ', b'[', b'{', b'&a ', b'*a', b'!!python/object/apply:os.system [true]', b'\xff', b'|',
              b'!!timestamp 1', b'2020-13-45', b'0b_', b'!!float x', b'!!float 2', b'? ', b'%YAML', b'1:99',
              b'!!set {a, b}', b'\xef\xbb\xbf', b'name: x\n', b'# \xe9\n']
    text = bytearray(yaml.safe_dump(options, sort_keys=False).encode())
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(text))
        text[place:place + rng.choice([0, 1, 5])] = rng.choice(pieces)
    return bytes(text)


def run_mutation(world, seed):
    """Outcome: Of the options that a seed makes."""
    root, bases = world
    rng = random.Random(seed)
    task = rng.choice(['search', 'train', 'train', 'test'])
    make = mutated if rng.random() < 0.95 else lambda options, task, rng: mutated_file(options, rng)
    return run_two_steps(task, make(bases[task], task, rng), root)


def run_mutations(world, seeds):
    outcomes = {seed: run_mutation(world, seed) for seed in seeds}
    assert [(seed, outcome) for seed, outcome in outcomes.items() if not outcome.is_fine] == []
    return [outcome.code for outcome in outcomes.values()]


def test_some_mutated_option_files(world):
    assert set(run_mutations(world, range(20))) == {0, 2}


@pytest.mark.slow
def test_two_thousand_mutated_option_files(world):
    codes = run_mutations(world, range(2000))
    assert codes.count(0) > 200
