"""train.compile: the same training step, compiled; only where one network is trained."""
import shutil

import pytest
import torch
from basicsr.models import build_model
from small_run import small_search, train_section

from deconas_plugin.errors import OptionError
from deconas_plugin.options.check import check_options


def losses(compile_it):
    torch.manual_seed(0)
    model = build_model({
        'model_type': 'DeCoNASModel', 'num_gpu': 0, 'is_train': True, 'dist': False, 'rank': 0, 'world_size': 1,
        'scale': 2, 'val': {}, 'path': {}, 'train': {**train_section(10), 'compile': compile_it},
        'network_g': {'type': 'DeCoNASNet', 'num_feat': 8, 'num_block': 1, 'num_layer': 1, 'genotype': '101'},
    })
    values = []
    for current_iter in range(3):
        model.feed_data({'lq': torch.rand(1, 3, 8, 8), 'gt': torch.rand(1, 3, 16, 16)})
        model.optimize_parameters(current_iter)
        values.append(float(model.log_dict['l_pix']))
    assert not any('_orig_mod' in key for key in model.net_g.state_dict())
    return values


@pytest.mark.slow
@pytest.mark.skipif(shutil.which('g++') is None, reason='torch.compile needs a compiler')
def test_compiled_training_is_the_same_training():
    assert losses(True) == pytest.approx(losses(False), rel=1e-4)


def test_a_search_refuses_to_be_compiled(tmp_path):
    opt = small_search(tmp_path)
    opt['train']['compile'] = True
    with pytest.raises(OptionError, match='train.compile: expected false in a search.*derive.train.compile'):
        check_options(opt, 'search.yml', 'search')
