"""Operations of the user's own file, from the options to the derived network."""
import random
import sys
from io import BytesIO

import pytest
import torch
from basicsr.archs import build_network
from helpers import built_mult_adds, num_params

from deconas_plugin.archs.deconas_arch import DeCoNASNet
from deconas_plugin.archs.operations import OPERATIONS
from deconas_plugin.cost.count import ComplexityCounter
from deconas_plugin.errors import OptionError
from deconas_plugin.files.user_code import import_user_code
from deconas_plugin.inference.tiling import receptive_radius
from deconas_plugin.space.genotype import Genotype

OWN_FILE = """
from deconas_plugin.archs.operations import OPERATIONS, Operation
from torch.nn import functional as F


@OPERATIONS.register_module(name='strip_conv7')
class StripConv7(Operation):
    \"\"\"1x7 and 7x1 depthwise convolutions, then a pointwise one.\"\"\"
    radius = 3
    joined = {'row': 0, 'column': 0, 'pointwise': 1}  # where the weights of several features are joined

    def weight_shapes(self, num_feat):  # for one input feature
        return {'row': (num_feat, 1, 1, 7), 'column': (num_feat, 1, 7, 1), 'pointwise': (num_feat, num_feat, 1, 1)}

    def forward(self, x, weights, bias):
        x = F.conv2d(x, weights['row'], padding=(0, 3), groups=x.shape[1])
        x = F.conv2d(x, weights['column'], padding=(3, 0), groups=x.shape[1])
        return F.conv2d(x, weights['pointwise'], bias)
"""


@pytest.fixture
def own_file(tmp_path):
    path = tmp_path / 'my_operations.py'
    path.write_text(OWN_FILE)
    yield path
    OPERATIONS.module_dict.pop('strip_conv7', None)
    for name in [name for name in sys.modules if 'my_operations' in name]:
        del sys.modules[name]


def test_everything_works_with_an_operation_of_the_user(own_file, tmp_path):
    import_user_code({'plugins': [str(own_file)]})
    import_user_code({'plugins': [str(own_file)]})  # a second tool in the same process
    torch.manual_seed(0)
    supernet = build_network(dict(type='DeCoNASSuperNet', num_feat=8, num_block=2, num_layer=3,
                                  operations=['conv3x3', 'strip_conv7']))
    counter, rng = ComplexityCounter.of(supernet), random.Random(0)
    images = torch.rand(1, 3, 9, 7)
    for _ in range(5):
        genotype = supernet.space.sample(rng)
        derived = supernet.derive(genotype)
        with torch.no_grad():
            assert (supernet(images, genotype) - derived(images)).abs().max() <= 1e-5
            assert (derived.eval().fuse()(images) - derived(images)).abs().max() <= 1e-5
        cost = counter.count(genotype)
        torch.save(derived.state_dict(), buffer := BytesIO())
        assert (num_params(derived), built_mult_adds(derived)) == (cost.params, cost.mult_adds)
        assert Genotype.from_dict(genotype.to_dict()) == genotype
        again = DeCoNASNet(str(genotype), num_feat=8, num_block=2, num_layer=3, operations=('conv3x3', 'strip_conv7'))
        again.load_state_dict(torch.load(BytesIO(buffer.getvalue())))
        with torch.no_grad():
            assert torch.equal(again(images), supernet.derive(genotype)(images))
    assert receptive_radius(DeCoNASNet(counter.everything, num_feat=8, num_block=2, num_layer=3,
                                       operations=('conv3x3', 'strip_conv7'))) == 3 + 2 * 9 + 2


def test_modules_are_imported_by_name(own_file, monkeypatch):
    monkeypatch.syspath_prepend(str(own_file.parent))
    import_user_code({'plugins': ['my_operations']})
    assert 'strip_conv7' in OPERATIONS.module_dict


@pytest.mark.parametrize('plugins, message', [
    (['missing.py'], 'plugins: missing.py: no such file'),
    (['no_such_module_of_mine'], 'plugins: no module named .no_such_module_of_mine'),
    ('one.py', 'expected a list'),
])
def test_what_is_not_there_is_named(plugins, message):
    with pytest.raises(OptionError, match=message):
        import_user_code({'plugins': plugins})


def test_a_failed_import_fails_again(tmp_path):
    path = tmp_path / 'broken.py'
    path.write_text('raise RuntimeError("half done")')
    for _ in range(2):
        with pytest.raises(RuntimeError, match='half done'):
            import_user_code({'plugins': [str(path)]})
