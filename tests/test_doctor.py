"""tools/doctor.py: what holds on the CPU, and that what does not hold is seen."""
import json

import pytest
import torch

from deconas_plugin.speed import doctor
from deconas_plugin.speed.doctor import Check, examine, to_text

CPU = torch.device('cpu')


@pytest.fixture(scope='module')
def report(tmp_path_factory):
    out = tmp_path_factory.mktemp('doctor') / 'deep' / 'doctor.json'
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(doctor, '_compiled', lambda device: [])  # test_compile.py
        found = examine(CPU, out)
    return found, json.loads(out.read_text())


def test_a_healthy_cpu(report):
    found, saved = report
    holds = {check.name: check.holds for check in found['checks']}
    assert found['healthy'] and False not in holds.values()
    wanted = ['forward pass, float32', 'forward pass, bf16', 'forward pass, fused', 'training steps, float32',
              'training steps, bf16', 'patches cut on the device', 'a run that was interrupted', 'time limit']
    assert [holds[name] for name in wanted] == [True] * len(wanted)
    assert holds['states exchanged with the CPU'] is holds['speed'] is None
    assert 'bit for bit the same' in next(c.found for c in found['checks'] if c.name == 'a run that was interrupted')
    assert saved['machine']['torch'] == torch.__version__ and len(saved['checks']) == len(holds)
    text = to_text(found)
    assert 'FAILS' not in text and 'All checks hold.' in text and text.count('\n') == len(holds) + 1


def test_a_device_that_computes_wrongly_is_found_out(monkeypatch):
    right = doctor.autocast

    def wrong(precision, device):
        # As if convolutions ran in bf16 whatever was asked for.
        return right('bf16', device)

    monkeypatch.setattr(doctor, 'autocast', wrong)
    checks = {check.name: check.holds for check in doctor._forward(CPU)}
    assert checks['forward pass, float32'] is False and checks['forward pass, bf16'] is True


def test_numbers_that_are_not_finite_fail():
    expected = torch.ones(2)
    assert doctor._compared('x', torch.tensor([1, float('nan')]), expected, 1.0) == Check(
        'x', False, 'differs from float32 on the CPU by inf (at most 1e+00)')
    assert doctor._compared('x', expected * 2.1, expected * 2, 0.06, relative=True).holds


def test_the_exit_code_says_whether_all_holds(monkeypatch, capsys):
    for holds, code in ((None, 0), (True, 0), (False, 1)):
        healthy = holds is not False
        monkeypatch.setattr(doctor, 'examine', lambda *_, holds=holds, healthy=healthy: {
            'machine': {'device': 'x'}, 'seconds': 1.0, 'checks': [Check('a', holds, 'b')], 'healthy': healthy})
        assert doctor.run_doctor('cpu') == code
    assert 'FAILS  a  b' in capsys.readouterr().out
