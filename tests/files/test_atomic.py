"""A write that fails leaves what was there before."""
import multiprocessing
import resource

import pytest
import torch

from deconas_plugin.errors import StorageError
from deconas_plugin.files.atomic import save_tensors, save_text


def write_beyond_a_limit(path, queue):
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))  # what a quota does: the kernel refuses the rest
    try:
        save_tensors({'params': torch.zeros(10000)}, path)
    except StorageError as error:
        queue.put(str(error))


def test_a_quota_leaves_the_old_file_whole(tmp_path):
    path = tmp_path / 'net.pth'
    save_tensors({'params': torch.ones(3)}, path)
    context = multiprocessing.get_context('fork')
    queue = context.Queue()
    process = context.Process(target=write_beyond_a_limit, args=(path, queue))
    process.start()
    said = queue.get(timeout=60)
    process.join()
    assert said.startswith(f'{path}: cannot be written (File too large)') and '\n' not in said
    assert torch.equal(torch.load(path, weights_only=True)['params'], torch.ones(3))
    assert [file.name for file in tmp_path.iterdir()] == ['net.pth']


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(StorageError, match='missing/options.yml: cannot be written'):
        save_text('a: 1', tmp_path / 'missing/options.yml')
