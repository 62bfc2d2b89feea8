from pathlib import Path

import cv2
import pytest
from test_prepare_data import keys, read_back

from deconas_plugin.data import sample_photos as photo_folder
from deconas_plugin.data.sample_photos import prepare_sample_photos
from deconas_plugin.errors import DataError


@pytest.fixture(scope='module')
def photos(tmp_path_factory):
    return prepare_sample_photos(tmp_path_factory.mktemp('photos'), 2)


def scenes(names):
    return {name.split('_')[0] for name in names}


def test_splits_share_no_scene(photos):
    train, reward = scenes(keys(photos.train.hr)), scenes(keys(photos.reward.hr))
    val = scenes(path.stem for path in photos.val.hr.iterdir())
    assert train and reward and val and not (train & reward or train & val or reward & val)


def test_basicsr_reads_them(photos):
    for pair, backend in ((photos.train, 'lmdb'), (photos.reward, 'lmdb'), (photos.val, 'disk')):
        for hr, lr in read_back(pair.hr, pair.lr, backend=backend).values():
            assert hr.shape == (lr.shape[0] * 2, lr.shape[1] * 2, 3)
    assert len(keys(photos.train.hr)) > 100


def test_sub_images_hold_the_training_patch(photos):
    """48 LR pixels, the usual patch, must fit at every scale."""
    assert {hr.shape for hr, _ in read_back(photos.train.hr, photos.train.lr).values()} == {(192, 192, 3)}


def test_again_and_at_another_scale(photos):
    root = photos.val.hr.parents[1]
    before = (photos.train.hr / 'data.mdb').stat().st_mtime_ns
    assert prepare_sample_photos(root, 2) == photos
    third = prepare_sample_photos(root, 3)
    assert third.train.hr == photos.train.hr and keys(third.train.lr) == keys(photos.train.hr)
    assert (photos.train.hr / 'data.mdb').stat().st_mtime_ns == before
    assert cv2.imread(str(third.val.lr / 'chelsea.png')).shape == (100, 150, 3)


def test_without_scikit_image_the_message_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(photo_folder, 'find_spec', lambda name: None)
    with pytest.raises(DataError, match='pip install scikit-image'):
        prepare_sample_photos(tmp_path)
    assert not list(Path(tmp_path).iterdir())
