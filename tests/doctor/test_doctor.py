"""The doctor: what holds on the CPU, and that what does not hold is seen."""
import json

import pytest
import torch
from lmdb_fixture import paired_lmdb, put_entry
from run_fixture import changed, train_options, write_options

from deconas_plugin.doctor import examine as doctor
from deconas_plugin.doctor import process_proof, proofs
from deconas_plugin.doctor.examine import examine, to_text
from deconas_plugin.doctor.file_checks import check_file
from deconas_plugin.doctor.proofs import Check

CPU = torch.device('cpu')


@pytest.fixture(scope='module')
def report(tmp_path_factory):
    out = tmp_path_factory.mktemp('doctor') / 'deep' / 'doctor.json'
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(doctor, 'prove_compiled_steps', lambda device: [])  # test_compile.py
        patch.setattr(doctor, 'prove_backends', lambda device: [])  # test_backends.py
        found = examine(CPU, out)
    return found, json.loads(out.read_text())


def test_a_healthy_cpu(report):
    found, saved = report
    holds = {check.name: check.holds for check in found['checks']}
    assert found['healthy'] and False not in holds.values()
    wanted = ['forward pass, float32', 'forward pass, bf16', 'forward pass, fused', 'training steps, float32',
              'training steps, bf16', 'two processes, gloo', 'patches cut on the device', 'a run that was interrupted',
              'time limit']
    assert [holds[name] for name in wanted] == [True] * len(wanted)
    assert holds['states exchanged with the CPU'] is holds['speed'] is holds['two processes, NCCL'] is None
    assert 'bit for bit the same' in next(c.found for c in found['checks'] if c.name == 'a run that was interrupted')
    assert saved['machine']['torch'] == torch.__version__ and saved['machine']['precisions'] == 'float32 bf16'
    assert {'processor', 'free memory', 'free disk', 'openvino'} < saved['machine'].keys()
    assert [check['name'] for check in saved['checks']] == list(holds) and saved['healthy']
    text = to_text(found)
    assert 'FAILS' not in text and 'All checks hold.' in text and text.count('\n') == len(holds) + 1


def test_a_device_that_computes_wrongly_is_found_out(monkeypatch):
    right = proofs.autocast

    def wrong(precision, device):
        # As if convolutions ran in bf16 whatever was asked for.
        return right('bf16', device)

    monkeypatch.setattr(proofs, 'autocast', wrong)
    checks = {check.name: check.holds for check in proofs.prove_forward(CPU)}
    assert checks['forward pass, float32'] is False and checks['forward pass, bf16'] is True


def test_numbers_that_are_not_finite_fail():
    expected = torch.ones(2)
    assert proofs._compared('x', torch.tensor([1, float('nan')]), expected, 1.0) == Check(
        'x', False, 'differs from float32 on the CPU by inf (at most 1e+00)')
    assert proofs._compared('x', expected * 2.1, expected * 2, 0.06, relative=True).holds


def test_the_exit_code_says_whether_all_holds(monkeypatch, capsys):
    for holds, code in ((None, 0), (True, 0), (False, 1)):
        healthy = holds is not False
        monkeypatch.setattr(doctor, 'examine', lambda *_, holds=holds, healthy=healthy: {
            'machine': {'device': 'x'}, 'seconds': 1.0, 'checks': [Check('a', holds, 'b')], 'healthy': healthy})
        assert doctor.run_doctor('cpu') == code
    assert 'FAILS  a  b' in capsys.readouterr().out


def test_a_proof_that_breaks_off_fails_and_the_others_go_on():

    def proof(device):
        yield Check('first', True, 'seen')
        raise OSError('no\nroom')

    assert list(doctor._checks('proof', proof, CPU)) == [Check('first', True, 'seen'),
                                                         Check('proof', False, 'OSError: no room')]


def test_processes_that_do_not_agree_are_found_out():
    first, second = {'weight': torch.zeros(2)}, {'weight': torch.tensor([0, 1e-7])}
    assert process_proof._compared('x', first, first, second).holds
    assert not process_proof._compared('x', first, second, first).holds  # from each other
    assert process_proof._compared('x', first, first, {'weight': torch.ones(2)}) == Check(
        'x', False, 'weights differ by 0e+00 from each other, and by 1.0e+00 (at most 1e-05) from those of one process '
        'with the whole batch')


def test_a_backend_that_is_not_installed_is_no_failure(monkeypatch):
    monkeypatch.setattr('deconas_plugin.inference.backends.find_spec', lambda package: None)
    assert list(proofs.prove_backends(CPU)) == [
        Check('backend openvino', None, 'not installed here; pip install openvino'),
        Check('backend onnxruntime', None, 'not installed here; pip install onnx onnxruntime')]


def test_backends_are_compared_with_pytorch(tmp_path, monkeypatch):
    monkeypatch.setenv('DECONAS_CACHE', str(tmp_path))
    monkeypatch.setattr(proofs, 'PACKAGES', ('onnxruntime', ))
    check, = proofs.prove_backends(CPU)
    assert check.name == 'backend onnxruntime, float32' and check.holds
    right = proofs.load_backend
    monkeypatch.setattr(proofs, 'load_backend', lambda *args, **keywords: lambda image: (
        right(*args, **keywords)(image) + 1e-3))
    assert [check.holds for check in proofs.prove_backends(CPU)] == [False]


@pytest.fixture
def options(tmp_path):
    return train_options(tmp_path)


def checked(tmp_path, options, **changes):
    return {check.name: check for check in check_file(write_options(changed(options, **changes), tmp_path))}


def test_a_good_option_file_and_its_data(tmp_path, options):
    checks = checked(tmp_path, options)
    assert {name: check.holds for name, check in checks.items()} == dict.fromkeys(
        ('options', 'datasets.train', 'datasets.val'), True)
    assert checks['datasets.train'].found == '6 pairs, all there and of sizes that fit x2; 6 of them decoded'


def test_a_wrong_option_is_named_and_its_data_left_alone(tmp_path, options):
    checks = checked(tmp_path, options, **{'train.total_itre': 5})
    assert checks['options'].holds is False and 'train.total_itre: unknown option' in checks['options'].found
    assert checks['data'].holds is None and len(checks) == 2
    assert check_file(tmp_path / 'none.yml')[0].found.startswith('-opt: cannot read')


def test_the_option_file_of_a_league(tmp_path, options):
    train, datasets = options['datasets']['train'], {}
    for key in ('choose', 'val'):
        gt, lq = paired_lmdb(tmp_path / key, count=2)
        datasets[key] = {'name': key, 'type': train['type'], 'io_backend': {'type': 'lmdb'}, 'dataroot_gt': gt,
                         'dataroot_lq': lq}
    league = {'name': 'small', 'scale': 2, 'num_gpu': 0, 'max_mult_adds': 3.0e9, 'seeds': [0],
              'learning_rates': [0.001], 'rate_iter': 3, 'datasets': {'train': train, **datasets},
              'train': {'total_iter': 6, 'warmup_iter': 2, 'optim_g': {'type': 'Adam'},
                        'scheduler': {'type': 'WarmupCosineLR'}, 'pixel_opt': {'type': 'L1Loss'}},
              'members': [{'name': 'compact', 'network_g': {'type': 'SRVGGNetCompact', 'num_feat': 8, 'num_conv': 1,
                                                            'upscale': 2}}]}
    checks = checked(tmp_path, league)
    assert {name: check.holds for name, check in checks.items()} == dict.fromkeys(
        ('options', 'datasets.train', 'datasets.choose', 'datasets.val'), True)
    assert '(max_mult_adds)' in checked(tmp_path, league, max_mult_adds=1.0e6)['options'].found
    checks = checked(tmp_path, league, **{'max_mult_adds': 3.0e9, 'datasets.val.dataroot_gt': str(tmp_path / 'none')})
    assert [check.holds for check in checks.values()] == [False, True, True, False]


def test_a_key_that_a_database_lacks_is_found(tmp_path, options):
    put_entry(options['datasets']['train']['dataroot_lq'], '0002_s001', None)
    checks = checked(tmp_path, options)
    assert checks['datasets.train'].holds is False and checks['datasets.val'].holds
    assert "LR_X2_sub.lmdb: key '0002_s001' stands in meta_info.txt but not in the database" in (
        checks['datasets.train'].found)


def test_a_broken_image_is_found(tmp_path, options):
    put_entry(options['datasets']['train']['dataroot_gt'], '0003_s002', b'no image')
    assert "HR_sub.lmdb: key '0003_s002'" in checked(tmp_path, options)['datasets.train'].found


def test_sizes_that_do_not_fit_and_a_missing_database_are_found_for_each_dataset(tmp_path, options):
    dataset = options['datasets']['train']
    checks = checked(tmp_path, options, **{'datasets.train.dataroot_lq': dataset['dataroot_gt'],
                                           'datasets.val.dataroot_gt': str(tmp_path / 'none')})
    assert [check.holds for check in checks.values()] == [False] * 3
    assert 'does not fit scale 2' in checks['datasets.train'].found
    assert f'{tmp_path}/none does not exist; prepare it' in checks['datasets.val'].found
