from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lmdb_fixture import dataset_options

from deconas_plugin.data.patch_options import PIPELINE_KEYS, PatchOptions
from deconas_plugin.errors import DeCoNASError
from deconas_plugin.options.schema import DATASET

OPTIONS = dataset_options('gt.lmdb', 'lq.lmdb')


def options(**changes):
    return PatchOptions.from_opt({**OPTIONS, **changes})


def test_defaults_follow_the_phase_and_the_backend():
    assert options().cache == 'disk'
    assert options(phase='val').cache == 'none'
    assert options(io_backend={'type': 'disk'}).cache == 'none'
    assert options().on_error == 'raise'


def test_keys_of_loader_and_pipeline_are_accepted():
    options(num_worker_per_gpu=2, batch_size_per_gpu=16, dataset_enlarge_ratio=10, prefetch_mode='cuda',
            num_prefetch_queue=1, pin_memory=True, persistent_workers=False)


def test_they_are_those_that_the_schema_describes():
    assert {field.name for field in fields(PatchOptions)} | {*PIPELINE_KEYS} == {*DATASET, 'phase', 'scale'}


def test_an_error_names_the_section_that_was_read():
    with pytest.raises(DeCoNASError, match=r'^search\.reward\.dataset\.cache: expected disk'):
        PatchOptions.from_opt({**OPTIONS, 'cache': 'ram'}, 'search.reward.dataset')


@pytest.mark.parametrize(('changes', 'message'), [
    ({'gt_sise': 16}, r'datasets\.train\.gt_sise: unknown option; is it gt_size\?'),
    ({'dataroot_gt': None}, r'datasets\.train\.dataroot_gt: missing'),
    ({'gt_size': 15}, r'datasets\.train\.gt_size: expected a multiple of the scale, 2, got 15'),
    ({'gt_size': '16'}, 'gt_size: expected a multiple of the scale'),
    ({'gt_size': None}, 'gt_size: expected a multiple of the scale'),
    ({'scale': 0}, 'scale: expected a whole number'),
    ({'cache': 'ram'}, r'cache: expected disk \| memory \| cuda \| device \| none, got .ram.'),
    ({'cache': 'cuda', 'phase': 'val'}, r'datasets\.val\.cache: expected disk \| memory \| none'),
    ({'cache': 'disk', 'io_backend': {'type': 'disk'}}, r'cache: expected none for folders \(python tools/prep'),
    ({'cache': 'none', 'cache_dir': '/tmp'}, 'cache_dir: expected it only along with cache: disk'),
    ({'on_error': 'ignore'}, r'on_error: expected raise \| skip'),
    ({'io_backend': {'type': 'memcached'}}, 'io_backend: expected'),
    ({'io_backend': 'lmdb'}, 'io_backend: expected'),
    ({'color': 'y'}, 'color: expected rgb'),
    ({'mean': [0.5, 0.5, 0.5]}, 'std: expected mean and std'),
    ({'mean': [0.5], 'std': [0.5]}, 'mean: expected three numbers'),
    ({'filename_tmpl': '{}x2'}, "filename_tmpl: expected '{}' for an LMDB"),
    ({'filename_tmpl': '{name}', 'io_backend': {'type': 'disk'}}, "filename_tmpl: expected one '{}'"),
    ({'meta_info_file': 'names.txt'}, 'meta_info_file: expected none for an LMDB'),
    ({'keys': 17}, 'keys: expected quoted names'),
    ({'keys': []}, 'keys: expected quoted names'),
    ({'use_rot': 'yes'}, 'use_rot: expected true or false'),
])
def test_wrong_options_name_the_key_and_what_is_expected(changes, message):
    with pytest.raises(DeCoNASError, match=message) as caught:
        options(**changes)
    assert '\n' not in str(caught.value)


VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5),
                   st.lists(st.integers(), max_size=3), st.dictionaries(st.text(max_size=4), st.integers(), max_size=2))


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.one_of(st.sampled_from([*OPTIONS, 'keys', 'cache', 'mean', 'std', 'on_error', 'color']),
                                 st.text(max_size=6), st.integers()), VALUES, max_size=4))
def test_any_values_end_in_options_or_in_one_clear_line(changes):
    try:
        assert isinstance(PatchOptions.from_opt({**OPTIONS, **changes}), PatchOptions)
    except DeCoNASError as error:
        assert str(error).startswith('datasets.')
