import pytest
import torch
from basicsr.data import build_dataloader
from basicsr.data.prefetch_dataloader import CPUPrefetcher
from lmdb_fixture import dataset_options, paired_lmdb, put_entry

from deconas_plugin.data.deconas_patch_dataset import DeCoNASPatchDataset
from deconas_plugin.data.gpu_patch_loader import GpuPatchLoader
from deconas_plugin.data.patch_draw import ResumableSampler
from deconas_plugin.errors import DataError
from deconas_plugin.training import setup
from deconas_plugin.training.loaders import ThreadPrefetcher

DEVICES = ['cpu', pytest.param('cuda', marks=pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU'))]


@pytest.fixture
def databases(tmp_path):
    return paired_lmdb(tmp_path, size=(40, 56))


def sampler(dataset, epoch=2):
    result = ResumableSampler(dataset, 1, 0, ratio=10, seed=5)
    result.set_epoch(epoch)
    return result


def loader(databases, device, epoch=2, **changes):
    dataset = DeCoNASPatchDataset(dataset_options(*databases, cache='cuda', **changes))
    return GpuPatchLoader(dataset, 8, sampler(dataset, epoch), device)


def same(ours, reference):
    return all(torch.equal(ours[key].cpu(), reference[key]) for key in ('lq', 'gt')) \
        and all(ours[key] == reference[key] for key in ('lq_path', 'gt_path'))


@pytest.mark.parametrize('device', DEVICES)
@pytest.mark.parametrize('changes', [{}, {'use_rot': False}, {'mean': [0.4, 0.5, 0.6], 'std': [0.2, 0.3, 0.4]},
                                     {'gt_size': 40}, {'keys': '0002-0003'}, {'use_channel_shuffle': True}])
def test_same_batches_as_through_a_data_loader_bit_for_bit(databases, device, changes):
    dataset = DeCoNASPatchDataset(dataset_options(*databases, cache='memory', **changes))
    reference = list(build_dataloader(dataset, {'phase': 'train', 'batch_size_per_gpu': 8, 'num_worker_per_gpu': 0},
                                      num_gpu=0, sampler=sampler(dataset)))
    ours = loader(databases, device, **changes)
    assert len(ours) == len(reference) == len(dataset) * 10 // 8
    assert all(same(*pair) for pair in zip(ours, reference, strict=True))


def test_a_thread_can_prepare_its_batches(databases):
    batches = list(ThreadPrefetcher(loader(databases, 'cpu'), depth=2))
    assert len(batches) == 7 and all(same(*pair) for pair in zip(batches, loader(databases, 'cpu'), strict=True))


@pytest.mark.parametrize('kind, cache', [('cpu', 'disk'), ('cuda', 'cuda')])
def test_the_memory_of_the_device_is_the_gpu_or_the_disk(databases, monkeypatch, kind, cache):
    monkeypatch.setattr(setup, 'device_of_run', lambda num_gpu: torch.device(kind))
    section = dataset_options(*databases, cache='device')
    given = {'name': 'n', 'num_gpu': 0, 'scale': 2, 'datasets': {'train': section}, 'path': {}}
    options = setup.complete_options(given, '/tmp')
    assert options['datasets']['train']['cache'] == cache
    # Where nobody says which device trains, as in BasicSR's own pipeline.
    assert DeCoNASPatchDataset(section).options.cache == 'disk'


@pytest.mark.parametrize('device', DEVICES)
def test_serves_basicsr_training_loop(databases, device):
    train_loader = loader(databases, device)
    assert train_loader.dataset.opt['name'] == 'test'
    prefetcher = CPUPrefetcher(train_loader)
    for _ in range(2):
        prefetcher.reset()
        batch, count = prefetcher.next(), 0
        while batch is not None:
            assert batch['gt'].shape == (8, 3, 16, 16) and batch['gt'].device.type == device
            batch, count = prefetcher.next(), count + 1
        assert count == len(train_loader) == 7


def test_broken_entries_raise_at_construction_or_are_skipped(databases):
    put_entry(databases[0], '0002_s001', b'broken')
    with pytest.raises(DataError, match="key '0002_s001'"):
        loader(databases, 'cpu')
    lenient = loader(databases, 'cpu', on_error='skip')
    paths = [path for batch in lenient for path in batch['gt_path']]
    assert '0002_s001' not in paths and len(paths) == 56
    assert lenient.dataset.skipped.keys() == {'0002_s001'}


def test_too_little_memory_on_the_gpu(databases, monkeypatch):
    def full(*_, **__):
        raise torch.cuda.OutOfMemoryError('CUDA out of memory.')

    dataset = DeCoNASPatchDataset(dataset_options(*databases, cache='cuda'))
    monkeypatch.setattr(torch, 'empty', full)
    with pytest.raises(DataError, match=r'need 0\.0 GB, more than cpu has free; set cache: disk'):
        GpuPatchLoader(dataset, 8, sampler(dataset), 'cpu')
