"""Batches of rewards: all patches equally often, or always the same ones."""
import random

import pytest
import torch
from lmdb_fixture import dataset_options, paired_lmdb

from deconas_plugin.search.reward import RewardSet


@pytest.fixture
def patches(tmp_path):
    return RewardSet(dataset_options(*paired_lmdb(tmp_path, count=6), use_hflip=False, use_rot=False), 6, 'cpu')


def names(patches, batches):
    """list[list[int]]: Which patches each batch holds."""
    whole = torch.cat([gt for _, gt in patches.batches(4)])
    return [[next(i for i, one in enumerate(whole) if torch.equal(one, patch)) for patch in gt] for _, gt in batches]


def test_all_patches_are_used_equally_often(patches):
    drawn = names(patches, patches.draws(4, 9, random.Random(0)))
    assert all(len(set(batch)) == 4 for batch in drawn)
    counts = torch.bincount(torch.tensor(drawn).flatten(), minlength=6)
    assert counts.tolist() == [6] * 6
    assert drawn != names(patches, patches.draws(4, 9, random.Random(1)))


def test_the_same_patches_for_strategies_that_compare_steps(patches):
    first = names(patches, patches.draws(3, 4, random.Random(0), same=True))
    assert first == first[:1] * 4 == names(patches, patches.draws(3, 4, random.Random(7), same=True))


def test_patches_are_fixed_and_whole(patches):
    (lq, gt), (rest, _) = patches.batches(4)
    assert (lq.shape, gt.shape, len(rest)) == ((4, 3, 8, 8), (4, 3, 16, 16), 2)
    assert 0 <= gt.min() and gt.max() <= 1 and gt.dtype == torch.float32
