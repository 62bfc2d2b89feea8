"""Weights of the reference: our network computes what TensorFlow's rules say, or the error says why not."""
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tf_reference_fixture import Arc, make_variables, run_reference

from deconas_plugin.archs.load import load_network
from deconas_plugin.errors import DeCoNASError, GenotypeError, WeightsError
from tools.convert_tf import main
from tools.lab.tf_reference.network import convert_reference, network_from_variables
from tools.lab.tf_reference.variables import Variables

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = '111 110100 011000010 010011100001'


def save(variables, folder):
    np.savez(folder / 'variables.npz', **variables)
    return str(folder / 'variables.npz')


def largest_difference(net, variables, arc, scale=2, size=(9, 13)):
    image = np.random.default_rng(1).random((2, *size, 3), np.float32)
    expected = run_reference(variables, arc, image, scale)
    rgb = torch.from_numpy(image[..., ::-1].copy()).permute(0, 3, 1, 2)
    with torch.no_grad():
        result = net(rgb).permute(0, 2, 3, 1).numpy()[..., ::-1]
    assert result.shape == expected.shape
    assert expected.std() > 0.1
    return np.abs(result - expected).max()


@pytest.mark.parametrize('scale', [2, 3, 4])
def test_the_published_network(tmp_path, scale):
    arc = Arc(PUBLISHED)
    variables = make_variables(arc, num_feat=16, scale=scale)
    message = convert_reference(save(variables, tmp_path), tmp_path / 'net.pth')
    assert PUBLISHED in message
    assert largest_difference(load_network(tmp_path / 'net.pth'), variables, arc, scale) < 1e-4


def test_the_published_network_at_its_size(tmp_path):
    arc = Arc(PUBLISHED)
    variables = make_variables(arc, num_feat=64)
    assert sum(array.size for array in variables.values()) == 1713795  # the number of the paper
    net = network_from_variables(Variables(save(variables, tmp_path)))
    assert sum(parameter.numel() for parameter in net.parameters()) == 1693251
    assert largest_difference(net, variables, arc) < 1e-4


@pytest.mark.parametrize(('bits', 'layers', 'cells'), [
    ('111 111111', 2, 2),
    ('010 101101', 3, 2),
    ('000 000000', 1, 2),
    ('100', 1, 1),
])
def test_genotypes_that_the_variables_tell(tmp_path, bits, layers, cells):
    arc = Arc(bits, layers, cells)
    variables = make_variables(arc)
    net = network_from_variables(Variables(save(variables, tmp_path)))
    assert str(net.genotype) == bits
    assert largest_difference(net, variables, arc) < 1e-4


@pytest.mark.parametrize('bits', ['100 010001', '010 000111', '001 100011 11 01', '111 011101 01 10', '000 100000',
                                  '100 000100 01 11', '100 111000 00 00'])
def test_genotypes_that_have_to_be_given(tmp_path, bits):
    arc = Arc(bits, 2, 2)
    variables = make_variables(arc, seed=3)
    net = network_from_variables(Variables(save(variables, tmp_path)), bits)
    assert str(net.genotype) == bits
    assert largest_difference(net, variables, arc) < 1e-4


def test_ambiguous_genotypes_are_not_guessed(tmp_path):
    variables = Variables(save(make_variables(Arc('100 010001', 2, 2)), tmp_path))
    with pytest.raises(GenotypeError, match='how many features each operation reads, but not which.*--genotype'):
        network_from_variables(variables)
    with pytest.raises(WeightsError, match='child/.../cell_1/conv/w reads 0 features, but 1'):
        network_from_variables(variables, '100 110001')
    with pytest.raises(GenotypeError, match='expected 9 bits'):
        network_from_variables(variables, PUBLISHED)


def test_what_does_not_belong_to_the_network_is_left_alone(tmp_path):
    variables = make_variables(Arc('111', 1, 1))
    extra = {'global_step': np.array(5), 'beta1_power': np.array(0.9), 'controller/w': np.zeros((2, 2)),
             'child/stem_conv/w_grl/Adam': np.zeros(3), 'child/stem_conv/w_grl/Adam_1': np.zeros(3)}
    suffixed = {f'{name}:0': array for name, array in variables.items()}
    net = network_from_variables(Variables(save({**suffixed, **extra}, tmp_path)))
    assert largest_difference(net, variables, Arc('111', 1, 1)) < 1e-4


def dropped(name):
    return lambda variables: {key: value for key, value in variables.items() if key != f'child/{name}'}


def changed(name, array):
    return lambda variables: {**variables, f'child/{name}': array}


@pytest.mark.parametrize(('change', 'message'), [
    (dropped('stem_conv/w_grl'), 'child/stem_conv/w_grl: missing'),
    (dropped('w_rsu'), 'child/w_rsu: missing'),
    (dropped('result_conv/b'), 'child/result_conv/b: missing'),
    (dropped('layer_1/cell_0/channel_attn/wd_w'), 'child/layer_1/cell_0/channel_attn/wd_w: missing'),
    (dropped('layer_0/local_concat/w_lc'), 'child/layer_0/local_concat/w_lc: missing'),
    (dropped('layer_1/cell_1/conv/w'), 'child/layer_1/cell_1/conv/w: reads 0 features, but 2 in layer_0'),
    (changed('layer_0/cell_0/pool/w', np.zeros((1, 1, 8, 8))), 'child/layer_0/cell_0/pool/w: unexpected variable'),
    (changed('layer_5/cell_0/conv/w', np.zeros((3, 3, 8, 8))), 'expected numbers without a gap'),
    (changed('stem_conv/w_sfe', np.zeros((3, 3, 8, 9))), 'child/stem_conv/w_sfe: expected a shape for conv_second'),
    (changed('result_conv/b', np.zeros((1, 3))), 'child/result_conv/b: expected finite numbers in 1 dimensions'),
    (changed('result_conv/b', np.array([0, 0, np.nan])), 'child/result_conv/b: expected finite numbers'),
    (changed('layer_0/cell_0/conv/w', np.zeros((3, 3, 9, 8))), 'expected a multiple of 8 input channels'),
    (changed('layer_0/cell_0/conv/w', np.zeros((5, 5, 8, 8))), 'child/layer_0/cell_0/conv/w: expected a shape'),
    (changed('w_rsu', np.zeros((3, 3, 8, 200))), 'upscale: expected 2, 3 or 4, got 5'),
    (lambda variables: {'w': np.zeros(3)}, 'found no variables below child/'),
])
def test_missing_unknown_and_misshapen_variables(tmp_path, change, message):
    path = save(change(make_variables(Arc('111 111111', 2, 2))), tmp_path)
    with pytest.raises(DeCoNASError, match=message) as error:
        network_from_variables(Variables(path))
    assert '\n' not in str(error.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(WeightsError, match='missing.npz: not a readable .npz'):
        Variables(tmp_path / 'missing.npz')
    (tmp_path / 'broken.npz').write_bytes(b'PK\x03\x04 nothing')
    with pytest.raises(WeightsError, match='broken.npz: not a readable .npz'):
        Variables(tmp_path / 'broken.npz')
    np.savez(tmp_path / 'objects.npz', **{'child/w': np.array([{}], dtype=object)})
    with pytest.raises(WeightsError, match='objects.npz: not a readable .npz'):
        Variables(tmp_path / 'objects.npz')
    with pytest.raises(WeightsError, match='expected an .npz, or a checkpoint without its ending'):
        Variables(tmp_path / 'model.ckpt-1')


def test_a_checkpoint_without_tensorflow(tmp_path, monkeypatch):
    (tmp_path / 'model.ckpt-1.index').write_bytes(b'')
    monkeypatch.setitem(sys.modules, 'tensorflow', None)
    monkeypatch.setitem(sys.modules, 'tensorflow.errors', None)
    with pytest.raises(WeightsError, match='model.ckpt-1: a checkpoint needs tensorflow'):
        Variables(tmp_path / 'model.ckpt-1')


def test_command_line(tmp_path, capsys):
    path = save(make_variables(Arc('100 010001', 2, 2)), tmp_path)
    assert main([path, str(tmp_path / 'net.safetensors'), '--genotype', '100 010001']) == 0
    assert '100 010001' in capsys.readouterr().out
    assert str(load_network(tmp_path / 'net.safetensors').genotype) == '100 010001'
    assert main([path, str(tmp_path / 'net.pth')]) == 2
    assert capsys.readouterr().err.count('\n') == 1
