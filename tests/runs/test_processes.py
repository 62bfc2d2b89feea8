"""Several processes are one search: same gradients, same controller, same result in each."""
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from faults import KeepReplica, SignalAt
from run_fixture import CONTEXT, changed, differences, results, run, run_together, search_options, write_options

from deconas_plugin.training.processes import average_gradients

ROOT = Path(__file__).resolve().parents[2]


def work_average_gradients(rank, folder):
    store = torch.distributed.FileStore(f'{folder}/store', 2)
    torch.distributed.init_process_group('gloo', store=store, rank=rank, world_size=2)
    both, one, none = (torch.nn.Parameter(torch.zeros(2, 3, 1, 1)) for _ in range(3))
    both.grad = torch.full_like(both, 1.0 + rank)
    if rank == 1:
        one.grad = torch.arange(6.0).view_as(one)
    average_gradients([both, one, none])
    torch.save([both.grad, one.grad, none.grad], f'{folder}/{rank}.pth')
    torch.distributed.destroy_process_group()


def test_gradients_are_averaged_over_the_processes_that_used_a_weight(tmp_path):
    processes = [CONTEXT.Process(target=work_average_gradients, args=(rank, tmp_path)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    for rank in range(2):
        both, one, none = torch.load(tmp_path / f'{rank}.pth')
        assert torch.equal(both, torch.full((2, 3, 1, 1), 1.5))
        assert torch.equal(one, torch.arange(6.0).view(2, 3, 1, 1))
        assert none is None


def test_two_processes_equal_one_on_the_joint_batch(tmp_path):
    # Gradient descent on a smooth loss: Adam and the sign of L1 would blow a rounding up.
    options = search_options(tmp_path, **{'train.optim_g': {'type': 'SGD', 'lr': 0.1}, 'val.val_freq': 6,
                                          'train.pixel_opt': {'type': 'MSELoss'}})
    run('search', tmp_path / 'one', options)
    halved = changed(options, **{'datasets.train.batch_size_per_gpu': 1, 'search.shared_genotype': True})
    said = run_together(2, 'search', tmp_path / 'two', halved)
    one, two = results(tmp_path / 'one'), results(tmp_path / 'two')
    for name in ('net_g_4.pth', 'net_g_latest.pth', 'net_c_latest.pth'):
        for key, weight in one[name]['params'].items():
            # The controller is trained by Adam, which blows a rounding of the rewards up.
            atol = 1e-5 if name.startswith('net_c') else 1e-6
            torch.testing.assert_close(two[name]['params'][key], weight, rtol=1e-5, atol=atol)
    for first, second in zip(one['search_history.jsonl'], two['search_history.jsonl'], strict=True):
        assert first['genotype'] == second['genotype']
        assert first['psnr'] == pytest.approx(second['psnr'], abs=1e-3)
    best = [found['state']['best_metric_results']['val']['psnr']['val'] for found in (one, two)]
    assert best[0] == pytest.approx(best[1], abs=1e-3)
    assert one['genotype'] == two['genotype']
    assert 'Controller round' in said[0] and 'Controller round' not in said[1]


def test_replicas_stay_identical_where_each_trains_its_own_genotype(tmp_path):
    options = search_options(tmp_path, **{'search.num_samples': 3})  # which two processes cannot share evenly
    keep = KeepReplica(tmp_path)
    run_together(2, 'search', tmp_path, options, prepare=(keep, keep))
    first, second = (torch.load(tmp_path / f'replica_{rank}.pth') for rank in range(2))
    assert differences(first, second) == []
    assert len(results(tmp_path)['search_history.jsonl']) == 3 * 2 * 3


def test_a_signal_to_one_process_stops_all_and_they_resume_exactly(tmp_path):
    options = search_options(tmp_path)
    run_together(2, 'search', tmp_path / 'whole', options)
    said = run_together(2, 'search', tmp_path / 'stopped', options, prepare=(None, SignalAt(7)), expected=143)
    assert 'Stopped at iter 7' in said[0]
    run_together(2, 'search', tmp_path / 'stopped', options, '--auto_resume')
    whole, stopped = results(tmp_path / 'whole'), results(tmp_path / 'stopped')
    assert differences(whole, {name: stopped[name] for name in whole}) == []


def test_a_launcher_that_did_not_start_this_process_is_named(tmp_path):
    options = search_options(tmp_path)
    said = run('search', tmp_path, options, '--launcher', 'pytorch', '--local-rank', '0', expected=2)
    assert 'error: --launcher pytorch: RANK is not set; start with torchrun' in said
    said = run('search', tmp_path, options, '--launcher', 'slurm', expected=2)
    assert 'error: --launcher slurm: SLURM_PROCID is not set' in said
    assert not (tmp_path / 'experiments').exists()


@pytest.mark.slow
def test_a_process_that_dies_under_torchrun_ends_the_others(tmp_path):
    script = tmp_path / 'dying.py'
    script.write_text(f"""
import os, sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'tests')!r}]
from pathlib import Path
from functools import partial
from deconas_plugin.runs import pipeline
from deconas_plugin.machine.console import run_tool
from faults import DieAt
if os.environ['RANK'] == '1':
    DieAt(3)()
search = partial(pipeline.run_search, sys.argv[2], launcher=sys.argv[4], root=Path({str(tmp_path)!r}))
raise SystemExit(run_tool(search))
""")
    options = write_options(search_options(tmp_path, **{'train.total_iter': 10**6}), tmp_path)
    torchrun = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=2']
    process = subprocess.Popen([*torchrun, str(script), '-opt', str(options), '--launcher', 'pytorch'], text=True,
                               stderr=subprocess.STDOUT, stdout=subprocess.PIPE,
                               env={**os.environ, 'OMP_NUM_THREADS': '1'})
    died, said = None, []
    for line in process.stdout:
        said.append(line)
        if 'this process had an accident' in line and died is None:
            died = time.monotonic()
    assert process.wait() != 0
    assert died is not None, ''.join(said[-40:])
    assert time.monotonic() - died < 60
