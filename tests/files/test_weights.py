"""Weight files: what is read, what the tensors tell, and what is refused."""
import os
import pickle
import random

import pytest
import torch

from deconas_plugin.archs.deconas_arch import DeCoNASNet
from deconas_plugin.archs.deconas_supernet_arch import DeCoNASSuperNet
from deconas_plugin.archs.load import load_network, load_state
from deconas_plugin.errors import WeightsError
from deconas_plugin.space.genotype import SearchSpace

SMALL = dict(genotype='110 110100', num_block=2, num_layer=2, num_feat=8)


def make_net(seed=0, **options):
    torch.manual_seed(seed)
    return DeCoNASNet(**{**SMALL, **options}).eval()


def save(content, path):
    torch.save(content, path)
    return path


@torch.no_grad()
def assert_same_output(one, other, channels=3):
    x = torch.rand(2, channels, 9, 7, generator=torch.Generator().manual_seed(1))
    assert torch.equal(one(x), other(x))


@pytest.mark.parametrize('upscale', [2, 3, 4])
def test_network_is_rebuilt_from_its_tensors(tmp_path, upscale):
    net = make_net(upscale=upscale)
    loaded = load_network(save({'params': net.state_dict()}, tmp_path / 'net.pth'))
    assert (loaded.upscale, loaded.num_feat, loaded.genotype) == (upscale, 8, net.genotype)
    assert not loaded.training
    assert_same_output(loaded, net)


@pytest.mark.parametrize('seed', range(4))
def test_any_genotype_operations_and_colours_are_rebuilt(tmp_path, seed):
    space = SearchSpace(3, 3, ('conv1x1', 'sep_conv3x3'), search_fusion=seed % 2 == 0)
    net = make_net(seed, genotype=space.sample(random.Random(seed)), num_block=3, num_layer=3, num_in_ch=1,
                   num_out_ch=1, operations=space.operations, rgb_mean=(0.25, ))
    assert_same_output(load_network(save(net.state_dict(), tmp_path / 'net.pth')), net, channels=1)


def test_fused_network_is_rebuilt_from_its_tensors(tmp_path):
    fused = make_net(upscale=4).fuse()
    loaded = load_network(save({'params': fused.state_dict()}, tmp_path / 'net.pth'))
    assert loaded.upscale == 4
    assert loaded.fuse() is loaded
    assert_same_output(loaded, fused)


def test_averaged_weights_are_preferred(tmp_path):
    net, averaged = make_net(0), make_net(1)
    path = save({'params': net.state_dict(), 'params_ema': averaged.state_dict()}, tmp_path / 'net.pth')
    assert load_state(path)[1]['key'] == 'params_ema'
    assert_same_output(load_network(path), averaged)


def test_bare_and_parallel_state_dicts(tmp_path):
    net = make_net()
    wrapped = {f'module.{name}': value for name, value in net.state_dict().items()}
    for state in (net.state_dict(), wrapped, {'params': wrapped}):
        assert_same_output(load_network(save(state, tmp_path / 'net.pth')), net)


def test_half_precision_weights_compute_in_float32(tmp_path):
    state = make_net().half().state_dict()
    net = load_network(save(state, tmp_path / 'net.pth'))
    assert {parameter.dtype for parameter in net.parameters()} == {torch.float32}


class Evil:

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path, )


@pytest.mark.parametrize('legacy', [False, True])
def test_code_in_a_file_is_not_run(tmp_path, legacy):
    content = {'params': Evil(str(tmp_path / 'harm'))}
    torch.save(content, tmp_path / 'net.pth', _use_new_zipfile_serialization=not legacy)
    with pytest.raises(WeightsError, match='net.pth: expected tensors and plain values alone'):
        load_state(tmp_path / 'net.pth')
    assert not (tmp_path / 'harm').exists()


def damaged(data, rng):
    kind = rng.randrange(4)
    if kind == 0:
        return data[:rng.randrange(len(data))]
    if kind == 1:
        return bytes(rng.randrange(256) for _ in range(rng.randrange(200)))
    data = bytearray(data)
    for _ in range(20):
        data[rng.randrange(min(len(data), 2000) if kind == 2 else len(data))] = rng.randrange(256)
    return bytes(data)


@pytest.mark.parametrize('name', ['net.pth', 'legacy.pth', 'net.safetensors'])
def test_damaged_files_are_one_line_errors(tmp_path, name, recwarn):
    state = make_net(num_feat=4).state_dict()
    if name.endswith('.pth'):
        torch.save({'params': state}, tmp_path / name, _use_new_zipfile_serialization=name == 'net.pth')
    else:
        from safetensors.torch import save_file
        save_file(state, tmp_path / name)
    data, rng, refused = (tmp_path / name).read_bytes(), random.Random(0), 0
    for _ in range(150):
        (tmp_path / name).write_bytes(damaged(data, rng))
        try:
            load_network(tmp_path / name)
        except WeightsError as error:
            refused += 1
            assert name in str(error) and '\n' not in str(error)
    assert refused > 75  # neither the old format nor safetensors has checksums: some damage only changes numbers
    assert not recwarn.list


@pytest.mark.parametrize(('content', 'message'), [
    ({'epoch': 1, 'iter': 2, 'optimizers': [], 'schedulers': []}, 'this is a training state; expected weights'),
    ({}, 'expected tensors by name, found none'),
    ([1, 2], 'expected tensors by name, found list'),
    ({'params': {'a': 1}}, "found int under 'a'"),
    ({'params': {3: torch.zeros(1)}}, 'found Tensor under 3'),
    ({'conv.weight': torch.zeros(1)}, 'found no genotype_code among 1 tensors'),
    ({'genotype_code': torch.zeros(3, dtype=torch.uint8)}, 'genotype_code holds no genotype'),
])
def test_other_content(tmp_path, content, message):
    with pytest.raises(WeightsError, match=message) as error:
        load_network(save(content, tmp_path / 'net.pth'))
    assert 'net.pth' in str(error.value)


def test_weights_of_a_supernet(tmp_path):
    state = DeCoNASSuperNet(num_block=2, num_layer=2, num_feat=4).state_dict()
    with pytest.raises(WeightsError, match='weights of a supernet.*derive a network'):
        load_network(save({'params': state}, tmp_path / 'net.pth'))


def without(state, name):
    return {key: value for key, value in state.items() if key != name}


@pytest.mark.parametrize(('change', 'message'), [
    (lambda state: without(state, 'conv_fusion.bias'), 'missing: conv_fusion.bias'),
    (lambda state: without(state, 'mean'), 'found no mean'),
    (lambda state: {**state, 'extra': torch.zeros(1)}, 'unexpected: extra'),
    (lambda state: {**state, 'conv_fusion.bias': torch.zeros(5)}, r'expected the shape \(8,\), got \(5,\)'),
    (lambda state: {**state, 'conv_first.weight': torch.zeros(8)}, 'conv_first.weight: expected the weights of a conv'),
    (lambda state: {**state, 'conv_fusion.bias': torch.full((8, ), float('nan'))}, 'conv_fusion.bias is not finite'),
    (lambda state: {k: v for k, v in state.items() if not k.startswith('blocks.1')}, 'expected 2 blocks.*got 1'),
    (lambda state: {**state, 'upsample.0.weight': torch.zeros(200, 8, 3, 3)}, 'upscale: expected 2, 3 or 4, got 5'),
])
def test_incomplete_or_foreign_tensors(tmp_path, change, message):
    with pytest.raises(WeightsError, match=message) as error:
        load_network(save(change(make_net().state_dict()), tmp_path / 'net.pth'))
    assert '\n' not in str(error.value)


def test_missing_files_and_other_endings(tmp_path):
    with pytest.raises(WeightsError, match='there is no such file'):
        load_state(tmp_path / 'net.pth')
    (tmp_path / 'net.bin').write_bytes(pickle.dumps({}))
    with pytest.raises(WeightsError, match='expected a .pth or .safetensors file'):
        load_state(tmp_path / 'net.bin')
