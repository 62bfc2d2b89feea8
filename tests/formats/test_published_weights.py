"""Public weight files of other papers' networks, made here in the layouts in which they are handed around."""
import random
import re
import struct

import numpy as np
import pytest
import torch
from scipy.io import savemat
from tensorboard.compat.proto.graph_pb2 import GraphDef

from deconas_plugin.archs.compared import COMPARED
from deconas_plugin.errors import WeightsError
from deconas_plugin.files.states import load_state
from deconas_plugin.formats.published.recognise import READERS, convert_published
from tools.convert import main


def state_of(network, scale=2):
    torch.manual_seed(1)
    return {name: tensor.numpy() for name, tensor in COMPARED[network](scale).state_dict().items()}


def hwio(weight):
    """A kernel as MATLAB and TensorFlow have it."""
    return weight.transpose(2, 3, 1, 0)


def cells(arrays):
    cell = np.empty((1, len(arrays)), object)
    cell[0] = arrays
    return cell


def write_srcnn(path, state):
    columns = {number: state[f'conv{number}.weight'].swapaxes(2, 3) for number in (1, 2, 3)}  # down the image's columns
    kernels = {'weights_conv1': columns[1].reshape(64, 81).T,
               'weights_conv2': columns[2].reshape(32, 64, 25).transpose(1, 2, 0),
               'weights_conv3': columns[3].reshape(32, 25)}
    biases = {f'biases_conv{number}': state[f'conv{number}.bias'][:, None] for number in (1, 2, 3)}
    savemat(path, {name: array.astype(np.float64) for name, array in {**kernels, **biases}.items()})


def write_vdsr(path, state):
    weights = cells([hwio(state[f'convs.{index}.weight']) for index in range(20)])
    biases = cells([state[f'convs.{index}.bias'][:, None] for index in range(20)])
    savemat(path, {'model': {'weight': weights, 'bias': biases}}, do_compression=True)


def write_lapsrn(path, state):
    params = []
    for name, array in state.items():
        layer, _, kind = name.rpartition('.')
        layer = layer.replace('conv_first', 'input_conv').replace('up_features', 'upconv').replace('up_image', 'img_up')
        layer = layer.replace('details', 'residual_conv').replace('levels.', 'level').replace('.convs.', '_conv')
        layer = re.sub(r'\d+', lambda number: str(int(number[0]) + 1), layer).replace('.', '_')
        value = np.squeeze(hwio(array), (2, 3)) if 'img_up' in layer else \
            hwio(array)[..., 0] if 'residual' in layer and kind == 'weight' else \
            hwio(array) if kind == 'weight' else array[None]
        params.append((f'{layer}_{"f" if kind == "weight" else "b"}', value))
    entries = np.empty((1, len(params)), [('name', object), ('value', object), ('learningRate', object)])
    for index, (name, value) in enumerate(params):
        entries[0, index] = (name, value, 1.0)
    savemat(path, {'net': {'vars': np.zeros((1, 3)), 'params': entries}})


def author_name(name):
    for ours, theirs in ((r'conv_first', 'entry'), (r'conv_last', 'exit'),
                         (r'body\.units\.(\d)\.units\.(\d)\.conv1', 'b{}.b{}.body.0'),
                         (r'body\.units\.(\d)\.units\.(\d)\.conv2', 'b{}.b{}.body.2'),
                         (r'body\.units\.(\d)\.fusions\.(\d)', 'b{}.c{}.body.0'),
                         (r'body\.fusions\.(\d)', 'c{}.body.0')):
        match = re.match(rf'{ours}\.', name)
        if match:
            return f'{theirs.format(*(int(digit) + 1 for digit in match.groups()))}.{name.rpartition(".")[2]}'
    raise AssertionError(name)


def shifts(*names):
    return {f'{name}.shifter.{kind}': np.ones(shape, np.float32)
            for name in names for kind, shape in (('weight', (3, 3, 1, 1)), ('bias', (3, )))}


def write_carn(path, state, other_scales=(3, 4)):
    """As the authors save it: all scales in one file; their stages stand at 0 and 3 of a sequence."""
    tensors = {author_name(name): array for name, array in state.items() if not name.startswith('upsample.')}
    tensors.update(shifts('sub_mean', 'add_mean'))
    scales = {2: state, **{scale: state_of('CARN', scale) for scale in other_scales}}
    for scale, one in scales.items():
        tail = {name: array for name, array in one.items() if name.startswith('upsample.')}
        tensors.update({f'upsample.up{scale}.body.{3 * int(name.split(".")[1])}.{name.rpartition(".")[2]}': array
                        for name, array in tail.items()})
    torch.save({name: torch.from_numpy(array) for name, array in tensors.items()}, path)


def write_params(path, arrays):
    content = struct.pack('<QQQ', 0x112, 0, len(arrays))
    for array in arrays.values():
        content += struct.pack(f'<III{array.ndim}Q', 0xF993FAC9, 0, array.ndim, *array.shape)
        content += struct.pack('<III', 1, 0, 0) + array.astype('<f4').tobytes()
    content += struct.pack('<Q', len(arrays))
    for name in arrays:
        content += struct.pack('<Q', len(name)) + name.encode()
    path.write_bytes(content)


def write_carn_mxnet(path, state):
    """Numbered in the order of the layers, written in another one."""
    arrays = {**shifts('sub_mean', 'add_mean'), **state}
    numbered = [(f'arg:learned_{number}', array) for number, array in enumerate(arrays.values())]
    write_params(path, dict(random.Random(0).sample(numbered, len(numbered))))


def write_falsr(path, state, operation='Relu', padding=b'SAME'):
    graph = GraphDef()
    graph.node.add(name='input_image_evaluate_y', op='Placeholder')
    for name, array in state.items():
        layer, _, kind = name.rpartition('.')
        for ours, theirs in ((r'stem', 'n32s1/c'), (r'fusion', 'n32s1/2/0'), (r'last', 'yout'),
                             (r'cells\.(\d)\.convs\.(\d)', r'cell\1/conv_f64_k3_b4_isskip_b\2')):
            layer = re.sub(f'^{ours}$', theirs, layer)
        layer = f'test_sr/{layer}'
        node = graph.node.add(name=f'{layer}/{"kernel" if kind == "weight" else kind}', op='Const')
        tensor = node.attr['value'].tensor
        array = hwio(array) if kind == 'weight' else array
        tensor.dtype = 1
        for size in array.shape:
            tensor.tensor_shape.dim.add(size=size)
        if array.size == 1:  # TensorFlow stores single numbers so
            tensor.float_val.append(array.item())
        else:
            tensor.tensor_content = array.astype('<f4').tobytes()
        if kind == 'weight':
            node = graph.node.add(name=f'{layer}/Conv2D', op='Conv2D')
            node.attr['strides'].list.i.extend([1] * 4)
            node.attr['padding'].s, node.attr['data_format'].s = padding, b'NHWC'
    graph.node.add(name='test_sr/last_one', op=operation)
    path.write_bytes(graph.SerializeToString())


FILES = {'srcnn.mat': ('SRCNN', write_srcnn), 'vdsr.mat': ('VDSR', write_vdsr), 'lapsrn.mat': ('LapSRN', write_lapsrn),
         'carn.pth': ('CARN', write_carn), 'carn.params': ('CARN', write_carn_mxnet),
         'falsr.pb': ('FALSR-A', write_falsr)}


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp('published')
    for name, (network, write) in FILES.items():
        write(folder / name, state_of(network))
    return folder


@pytest.mark.parametrize('name', FILES)
def test_weights_arrive_where_they_belong(name, files, tmp_path, capsys):
    network, _ = FILES[name]
    assert main([str(files / name), str(tmp_path / 'out.pth'), '--network', network]) == 0
    assert f'{network} x2' in capsys.readouterr().out
    state, info = load_state(tmp_path / 'out.pth')
    expected = state_of(network)
    assert info['key'] == 'params' and set(state) == set(expected)
    assert all(np.array_equal(state[key].numpy(), expected[key]) for key in expected)


def test_other_scales(files, tmp_path):
    for scale in (3, 4):
        convert_published(files / 'carn.pth', tmp_path / 'out.pth', 'CARN', scale)
        state, _ = load_state(tmp_path / 'out.pth')
        tail = [name for name in state if name.startswith('upsample.')]
        assert len(tail) == {3: 2, 4: 4}[scale]
        assert all(np.array_equal(state[name].numpy(), state_of('CARN', scale)[name]) for name in tail)
    expected = state_of('LapSRN', 4)
    write_lapsrn(tmp_path / 'x4.mat', expected)
    convert_published(tmp_path / 'x4.mat', tmp_path / 'out.pth', 'LapSRN', 4)
    state, _ = load_state(tmp_path / 'out.pth')
    assert all(np.array_equal(state[name].numpy(), expected[name]) for name in expected)


@pytest.mark.parametrize('name', FILES)
def test_file_of_another_network(name, files, tmp_path, capsys):
    for network in READERS:
        if network != FILES[name][0]:
            assert main([str(files / name), str(tmp_path / 'out.pth'), '--network', network]) == 2
            error = capsys.readouterr().err
            assert error.count('\n') == 1 and name in error and 'expected' in error
    assert not (tmp_path / 'out.pth').exists()


@pytest.mark.parametrize('name', FILES)
def test_truncated_and_damaged_files(name, files, tmp_path):
    whole, (network, _) = (files / name).read_bytes(), FILES[name]
    path = tmp_path / name
    for kept in (0, 5, 130, len(whole) // 3, len(whole) - 1000, len(whole) - 1):
        path.write_bytes(whole[:kept])
        with pytest.raises(WeightsError, match=re.escape(str(path))):
            convert_published(path, tmp_path / 'out.pth', network, 2)
    rng = random.Random(0)
    for _ in range(30):  # a number within the weights may change and be a number still; the rest must be told
        place, damaged = rng.randrange(400), bytearray(whole)
        damaged[place] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        try:
            convert_published(path, tmp_path / 'out.pth', network, 2)
        except WeightsError as error:
            assert '\n' not in str(error)


@pytest.mark.parametrize('scale, name, message', [
    (3, 'carn.params', r'upsample.0.weight: expected the shape \(576, 64, 3, 3\), got \(256, 64, 3, 3\)'),
    (4, 'lapsrn.mat', r'missing: levels.1'),
    (4, 'falsr.pb', r'FALSR_A was published for 2, got 4'),
])
def test_file_of_another_scale(scale, name, message, files, tmp_path, capsys):
    assert main([str(files / name), str(tmp_path / 'out.pth'), '--network', FILES[name][0], '--scale', str(scale)]) == 2
    assert re.search(message, capsys.readouterr().err)


def test_authors_file_without_the_scale(tmp_path):
    write_carn(tmp_path / 'carn.pth', state_of('CARN'), other_scales=(4, ))
    with pytest.raises(WeightsError, match='expected weights of CARN for x3, found x2, x4'):
        convert_published(tmp_path / 'carn.pth', tmp_path / 'out.pth', 'CARN', 3)


@pytest.mark.parametrize('change, message', [
    ({'operation': 'PyFunc'}, 'test_sr/last_one: expected a graph of FALSR-A, .*got the operation PyFunc'),
    ({'padding': b'VALID'}, 'test_sr/n32s1/c/Conv2D: expected a convolution of stride 1 .*VALID'),
])
def test_graphs_that_compute_something_else(change, message, tmp_path):
    write_falsr(tmp_path / 'graph.pb', state_of('FALSR-A'), **change)
    with pytest.raises(WeightsError, match=message):
        convert_published(tmp_path / 'graph.pb', tmp_path / 'out.pth', 'FALSR-A', 2)


def test_weights_that_are_no_numbers(tmp_path):
    state = state_of('SRCNN')
    state['conv2.bias'][3] = np.nan
    write_srcnn(tmp_path / 'srcnn.mat', state)
    with pytest.raises(WeightsError, match='conv2.bias is not finite'):
        convert_published(tmp_path / 'srcnn.mat', tmp_path / 'out.pth', 'SRCNN', 2)


def test_options_that_do_not_belong_together():
    for nonsense in (['a.mat', 'b.pth', '--network', 'SRCNN', '--fused'], ['a.pth', 'b.pth', '--scale', '2'],
                     ['a.mat', 'b.pth', '--network', 'EDSR'], ['--openmodeldb', 'c', '--network', 'CARN']):
        with pytest.raises(SystemExit, match='2'):
            main(nonsense)
