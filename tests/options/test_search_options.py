"""Options of the search beyond the paper's: blocks that differ, how weights are trained, other strategies."""
import json
import random

import pytest
import torch
import yaml
from helpers import run
from small_run import small_search, write_options

from deconas_plugin.archs.deconas_arch import DeCoNASNet
from deconas_plugin.archs.deconas_supernet_arch import DeCoNASSuperNet
from deconas_plugin.errors import GenotypeError
from deconas_plugin.search.sampling import WEIGHT_SAMPLING, GenotypeSampler
from deconas_plugin.search.strategy import RandomSearch
from deconas_plugin.space.genotype import Genotype, SearchSpace


@pytest.mark.parametrize('fusion', [False, True])
def test_blocks_that_differ(fusion):
    torch.manual_seed(0)
    supernet = DeCoNASSuperNet(num_feat=8, num_block=3, num_layer=2, search_fusion=fusion, share_blocks=False)
    space, rng, images = supernet.space, random.Random(1), torch.rand(1, 3, 7, 6)
    assert space.num_bits == 3 * (9 + 2 * fusion) + 3 * fusion
    for _ in range(20):
        genotype = space.sample(rng)
        assert Genotype.parse(str(genotype), 3, 2) == genotype == Genotype.from_dict(genotype.to_dict())
        derived = supernet.derive(genotype).eval()
        with torch.no_grad():
            assert (supernet(images, genotype) - derived(images)).abs().max() <= 1e-5
            assert (derived.fuse()(images) - derived(images)).abs().max() <= 1e-5
    with pytest.raises(GenotypeError, match='every block has its own connections'):
        _ = genotype.layer_inputs


def test_equal_blocks_mean_the_shared_network():
    torch.manual_seed(0)
    text = '101 110010'
    shared = DeCoNASNet(text, num_feat=8, num_block=2, num_layer=2)
    own = DeCoNASNet(f'{text} | {text}', num_feat=8, num_block=2, num_layer=2)
    own.load_state_dict({name: own.genotype_code if name == 'genotype_code' else value
                         for name, value in shared.state_dict().items()})
    images = torch.rand(1, 3, 5, 5)
    assert torch.equal(shared(images), own(images))
    assert own.genotype.describe()['block 0'] == own.genotype.describe()['block 1']
    assert SearchSpace(1, 2, share_blocks=False) == SearchSpace(1, 2)


@pytest.mark.parametrize('mode', WEIGHT_SAMPLING)
def test_genotypes_of_weight_steps(mode):
    space = SearchSpace(2, 2)
    strategy = RandomSearch(space)
    chosen = space.sample(random.Random(9))
    strategy.draw = lambda: chosen
    sampler = GenotypeSampler(strategy, space, random.Random(0), mode, warmup_iter=10)
    drawn = [sampler.draw(current_iter) for current_iter in range(1, 21)]
    from_strategy = {'strategy': 20, 'uniform_warmup': 10}.get(mode, 0)
    assert drawn.count(chosen) == from_strategy
    assert len(set(drawn)) >= (8 if mode in ('sandwich', 'largest_first') else min(21 - from_strategy, 15))
    if mode == 'fair':
        for one, other in zip(drawn[::2], drawn[1::2], strict=True):
            assert all(a + b == 1 for a, b in zip(one.bits, other.bits, strict=True))
    if mode == 'largest_first':
        assert drawn[:5] == [space.genotype([1] * 9)] * 5
    if mode == 'sandwich':
        assert drawn[::3] == [space.genotype([0] * 9)] * 7 and drawn[1::3] == [space.genotype([1] * 9)] * 7
    if mode in ('fair', 'sandwich'):
        sampler.draw(21)
        again = GenotypeSampler(strategy, space, random.Random(5), mode, warmup_iter=10)
        again.load_state_dict(sampler.state_dict())
        assert again.draw(22) == sampler.draw(22)
        again.load_state_dict({'previous': list(chosen.bits)})  # a state of earlier versions
        assert again.draw(23) == chosen.complement


CHANGES = {
    'random': {'strategy': {'type': 'random'}},
    'evolution': {'strategy': {'type': 'evolution', 'population': 4, 'tournament': 2}},
    'fair': {'weight_sampling': 'fair', 'genotypes_per_step': 2},
    'target': {'penalty': [{'type': 'mult_adds', 'weight': 1.0, 'target': 2.6e9}, {'type': 'params', 'weight': 0.1}]},
}


@pytest.mark.parametrize('name', CHANGES)
def test_searches_with_other_options(project, name):
    opt = small_search(project)
    opt['search'].update(CHANGES[name])
    opt['network_g']['share_blocks'] = name != 'evolution'
    assert run('search', '-opt', write_options(project, opt)) == 0
    folder = project / 'experiments' / 'small_search'
    lines = [json.loads(line) for line in (folder / 'search_history.jsonl').read_text().splitlines()]
    common = {'iter', 'step', 'genotype', 'psnr', 'penalties', 'reward', 'params', 'mult_adds', 'time'}
    assert len(lines) == 3 * 2 * 3 and all(common <= set(line) for line in lines)
    assert all(set(line['penalties']) == {term['type'] for term in opt['search']['penalty']} for line in lines)
    log = next(folder.glob('*.log')).read_text()
    assert 'penalty_params' in log
    front = [yaml.safe_load(path.read_text()) for path in sorted((folder / 'derived' / 'front').glob('*.yml'))]
    assert front and all(Genotype.from_dict(point['genotype']) for point in front)
    costs = [point['result']['mult_adds'] for point in front]
    psnrs = [point['result']['psnr'] for point in front]
    assert costs == sorted(costs) and psnrs == sorted(psnrs)
    if name == 'random':
        best = yaml.safe_load((folder / 'derived' / 'genotype.yml').read_text())['genotype']['bits']
        assert best in {line['genotype'] for line in lines}
