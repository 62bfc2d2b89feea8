"""Whatever a file holds, reading it ends well or in one of the project's errors, and never runs its code."""
import copy
import math
import os
import pickle
import random
import shutil
import sys

import pytest
import torch
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lmdb_fixture import dataset_options, encode_png, get_entry, paired_lmdb, photo_like, put_entry
from run_fixture import search_options, train_options
from safetensors.torch import save_file

from deconas_plugin.archs.deconas_arch import DeCoNASNet
from deconas_plugin.archs.load import load_network
from deconas_plugin.data.deconas_patch_dataset import DeCoNASPatchDataset
from deconas_plugin.errors import DataError, DeCoNASError, GenotypeError, OptionError, WeightsError
from deconas_plugin.files.states import load_state
from deconas_plugin.options.check import check_options
from deconas_plugin.options.read import load_options
from deconas_plugin.space.genotype import Genotype
from deconas_plugin.training.checkpoints import find_checkpoint

VALUES = [None, True, False, 0, -1, 1, 2, 10**30, 0.5, math.nan, math.inf, -math.inf, '', 'x', '1e-4', 'none', '~',
          [], [1], [None], ['x'], [[]], [{}], {}, {'type': 'L1Loss'}, {'type': None}, {'type': []}, {1: 2},
          {None: None}, '111 100010', 'DeCoNASNet', b'bytes', (1, 2), float, '/nonexistent', '\x00', '0001-0002']


def mutate_options(options, rng):
    """Change up to three random places of nested options."""
    for _ in range(rng.randint(1, 3)):
        places = [(options, key) for key in options]
        for section, key in places:
            value = section[key]
            places += [(value, index) for index in (value if isinstance(value, dict) else range(len(value)))] \
                if isinstance(value, (dict, list)) else []
        if not places:
            return options
        section, key = rng.choice(places)
        action = rng.choice(['replace', 'delete', 'rename', 'add', 'move'])
        if action == 'delete' or action == 'rename':
            value = section.pop(key)
            if action == 'rename' and isinstance(section, dict):
                section[rng.choice([f'{key}x', key * 2 if isinstance(key, str) else key, 7, None, 'type'])] = value
        elif action == 'add' and isinstance(section, dict):
            section[rng.choice(['type', 'keys', 'unknown', 5, 'scale', True])] = rng.choice(VALUES)
        elif action == 'move':
            other, other_key = rng.choice(places)
            section[key] = copy.deepcopy(other[other_key])
        else:
            section[key] = copy.deepcopy(rng.choice(VALUES))
    return options


@pytest.fixture(scope='module')
def options(tmp_path_factory):
    folder = tmp_path_factory.mktemp('options')
    return {'search': search_options(folder / 'search'), 'train': train_options(folder / 'train')}


@pytest.mark.parametrize('task', ['search', 'train'])
def test_mutated_options(options, task):
    check_options(copy.deepcopy(options[task]), 'whole.yml', task)
    outcomes = {True: 0, False: 0}
    for seed in range(500):
        opt = mutate_options(copy.deepcopy(options[task]), random.Random(seed))
        try:
            check_options(opt, f'{seed}.yml', task)
            outcomes[True] += 1
        except DeCoNASError as error:
            outcomes[False] += 1
            assert '\n' not in str(error), seed
    assert outcomes[False] > 300


def test_mutated_option_files(options, tmp_path):
    path = tmp_path / 'options.yml'
    whole = yaml.safe_dump(options['search']).encode()
    pieces = [b'\n', b': ', b'- ', b'[', b'{', b'&a ', b'*a', b'!!python/object/apply:os.system [true]', b'\xff', b'|',
              b'!!timestamp 1', b'2020-13-45', b'0b_', b'!!float x', b'? ', b'%YAML', b'1:99', b'!!set {a, b}']
    for seed in range(200):
        rng = random.Random(seed)
        text = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            place = rng.randrange(len(text))
            text[place:place + rng.choice([0, 1, 5])] = rng.choice(pieces)
        path.write_bytes(text)
        try:
            check_options(load_options(path), path, 'search')
        except DeCoNASError as error:
            assert '\n' not in str(error), seed


@settings(max_examples=1000, deadline=None)
@given(st.one_of(st.text('01 |\n', max_size=60), st.text(max_size=40), st.none(), st.integers(), st.floats(),
                 st.lists(st.integers(0, 1), max_size=12), st.dictionaries(st.text(max_size=5), st.integers())))
@example('111 110100')
def test_any_genotype(value):
    try:
        genotype = Genotype.parse(value, 2, 2)
    except GenotypeError as error:
        assert '\n' not in str(error)
    else:
        assert Genotype.parse(str(genotype), 2, 2) == genotype


def mutate_bytes(content, rng):
    content = bytearray(content)
    action = rng.choice(['flip', 'flip', 'cut', 'insert', 'zero'])
    if action == 'cut':
        return bytes(content[:rng.randrange(len(content))])
    for _ in range(rng.randint(1, 8)):
        place = rng.randrange(len(content))
        if action == 'flip':
            content[place] ^= 1 << rng.randrange(8)
        else:
            width = rng.randint(1, 50)
            content[place:place + (0 if action == 'insert' else width)] = bytes(width)
    return bytes(content)


@pytest.mark.parametrize('ending', ['.pth', '.safetensors'])
def test_mutated_weight_files(tmp_path, ending):
    state = DeCoNASNet('1' * 9, num_feat=4, num_block=1, num_layer=2).state_dict()
    path = tmp_path / f'net{ending}'
    torch.save({'params': state}, path) if ending == '.pth' else save_file(state, path)
    whole = path.read_bytes()
    load_network(path)
    refused = 0
    for seed in range(150):
        path.write_bytes(mutate_bytes(whole, random.Random(seed)))
        try:
            load_network(path)
        except WeightsError as error:
            refused += 1
            assert '\n' not in str(error), seed
    assert refused > 50


class Evil:
    def __reduce__(self):
        return os.system, (f'{sys.executable} -c "open(\'{self.mark}\', \'w\')"', )


@pytest.mark.parametrize('wrap', [lambda evil: evil, lambda evil: {'params': {'weight': evil}},
                                  lambda evil: {'params': {}, 'extra': [evil]}])
@pytest.mark.parametrize('raw', [True, False])
def test_code_in_a_weight_file_is_not_run(tmp_path, wrap, raw):
    evil = Evil()
    evil.mark = tmp_path / 'ran'
    path = tmp_path / 'net.pth'
    path.write_bytes(pickle.dumps(wrap(evil))) if raw else torch.save(wrap(evil), path)
    with pytest.raises(WeightsError, match='not read because they could run code|expected what torch.save'):
        load_state(path)
    assert not evil.mark.exists()
    pickle.loads(path.read_bytes()) if raw else torch.load(path, weights_only=False)
    assert evil.mark.exists()  # it would have


def test_mutated_training_states(tmp_path):
    states, models = tmp_path / 'training_states', tmp_path / 'models'
    states.mkdir()
    models.mkdir()
    torch.save({'params': {'weight': torch.zeros(3)}}, models / 'net_g_4.pth')
    opt = {'auto_resume': True, 'network_g': {}, 'path': {'experiments_root': str(tmp_path)}}
    assert find_checkpoint(opt) is None
    whole = {'iter': 4, 'epoch': 0, 'optimizers': [{'state': {0: {'step': torch.ones(1)}}}], 'schedulers': []}
    torch.save(whole, states / '4.state')
    assert find_checkpoint(opt).state['iter'] == 4
    content = (states / '4.state').read_bytes()
    shutil.copy(states / '4.state', states / '9.state')  # whole, but its networks are not there
    assert find_checkpoint(opt).path.name == '9.state'
    for seed in range(100):
        (states / '9.state').write_bytes(mutate_bytes(content, random.Random(seed)))
        found = find_checkpoint(opt)
        assert found.state['iter'] == 4
    (states / '4.state').write_bytes(b'')
    (states / '9.state').write_bytes(b'')
    with pytest.raises(WeightsError, match='none of 2 checkpoints is whole'):
        find_checkpoint(opt)


def test_mutated_lmdb_entries(tmp_path):
    gt, lq = paired_lmdb(tmp_path, count=2)
    key, whole = '0001_s001', get_entry(gt, '0001_s001')
    others = [b'', b'no image', None, encode_png(photo_like(20, 20, 0)), whole * 2]
    refused = 0
    for seed in range(200):
        put_entry(gt, key, others[seed] if seed < len(others) else mutate_bytes(whole, random.Random(seed)))
        dataset = DeCoNASPatchDataset(dataset_options(gt, lq, cache='none'))
        try:
            assert dataset[0]['gt'].shape == (3, 16, 16)
        except DataError as error:
            refused += 1
            assert key in str(error) and '\n' not in str(error), seed
            skipping = DeCoNASPatchDataset(dataset_options(gt, lq, cache='none', on_error='skip'))
            assert skipping[0]['gt_path'] == '0001_s002' and list(skipping.skipped.values()) == [1]
            del skipping
        del dataset
    assert refused > 100


@pytest.mark.parametrize('change', ['no_such:key=1', 'scale', 'scale=[', '=', 'datasets:train=__import__("os")', 'a=b'])
def test_force_yml_is_parsed_never_evaluated(tmp_path, options, change):
    path = tmp_path / 'options.yml'
    path.write_text(yaml.safe_dump(options['search']))
    with pytest.raises(OptionError):
        check_options(load_options(path, [change]), path, 'search')
