"""The genotype as a value: what it accepts, how it prints, what reaches the output."""
import random

import pytest

from deconas_plugin.errors import GenotypeError
from deconas_plugin.space.genotype import NAMED_GENOTYPES, Genotype, SearchSpace

PUBLISHED = NAMED_GENOTYPES['DeCoNASNet_x2']


def test_sizes_of_the_spaces():
    assert SearchSpace().num_bits == 30
    assert SearchSpace(search_fusion=True).num_bits == 38
    assert SearchSpace(num_layer=8).num_bits == 108


def test_published_genotype_reads_what_the_paper_says():
    genotype = Genotype.parse('DeCoNASNet_x2')
    assert genotype.layer_inputs == (((0, ), (0, ), (0, )), ((0, 1), (0, ), ()), ((), (0, 2), (0, )),
                                     ((2, ), (0, 1), (1, 3)))
    assert genotype.local_fusion == genotype.global_fusion == (0, 1, 2, 3, 4)
    assert str(genotype) == PUBLISHED


@pytest.mark.parametrize('fusion', [False, True])
def test_round_trips(tmp_path, fusion):
    space = SearchSpace(num_block=3, num_layer=5, search_fusion=fusion)
    genotype = space.sample(random.Random(1))
    assert Genotype.parse(str(genotype), 3, 5) == genotype == Genotype.from_dict(genotype.to_dict())
    assert len({genotype, Genotype.parse(str(genotype), 3, 5)}) == 1
    import yaml
    path = tmp_path / 'genotype.yml'
    path.write_text(yaml.safe_dump({'genotype': genotype.to_dict(), 'result': {'psnr': 30.0}}))
    assert Genotype.parse(path, 3, 5) == Genotype.load(path) == genotype


@pytest.mark.parametrize('value, message', [
    (PUBLISHED[:-1], 'expected 30 bits for num_layer=4 .*got 29'),
    (PUBLISHED.replace('0', '2'), 'expected bits in quotes'),
    ('DeCoNASNet_x9', 'one of DeCoNASNet_x2; got .DeCoNASNet_x9.'),
    (int('1' * 30), 'expected bits in quotes'),
    ('', 'expected bits in quotes'),
    ('missing.yml', 'cannot read missing.yml'),
])
def test_wrong_genotypes_are_named(value, message):
    with pytest.raises(GenotypeError, match=message):
        Genotype.parse(value)


def test_files_of_other_spaces_and_no_files_are_refused(tmp_path):
    path = tmp_path / 'genotype.yml'
    path.write_text('genotype: {bits: "1"}')
    with pytest.raises(GenotypeError, match='missing: num_block'):
        Genotype.load(path)
    path.write_text('- 1')
    with pytest.raises(GenotypeError, match='holds no genotype'):
        Genotype.load(path)
    other = SearchSpace(num_layer=2).sample(random.Random(0))
    with pytest.raises(GenotypeError, match='num_layer=4.*num_layer=2'):
        Genotype.parse(other)


def test_layers_that_nothing_reads_are_dead():
    space = SearchSpace(num_block=2, num_layer=3, search_fusion=True)
    # Layer 0 reads the input, layer 1 reads layer 0, layer 2 reads the input alone; only layer 2 is fused.
    genotype = Genotype(space, (1, 0, 0) + (0, 0, 0, 1, 0, 0) + (1, 0, 0, 0, 0, 0, 0, 0, 0) + (0, 0, 0) + (0, 0))
    assert genotype.live_layers == (2, )
    assert genotype.local_fusion == (3, )
    # Layer 2 without operations passes layer 1 on, which reads layer 0: all are live.
    genotype = Genotype(space, (1, 0, 0) + (0, 0, 0, 1, 0, 0) + (0, ) * 9 + (0, 0, 0) + (0, 0))
    assert genotype.live_layers == (0, 1, 2)


def test_sampling_is_seeded_and_fair():
    space = SearchSpace()
    assert space.sample(random.Random(3)) == space.sample(random.Random(3))
    rng = random.Random(0)
    share = sum(sum(space.sample(rng).bits) for _ in range(200)) / (200 * 30)
    assert 0.48 < share < 0.52


@pytest.mark.parametrize('kwargs', [{'num_block': 0}, {'num_layer': 2.0}, {'operations': ()},
                                    {'operations': ('conv3x3', 'conv3x3')}])
def test_impossible_spaces(kwargs):
    with pytest.raises(GenotypeError, match=next(iter(kwargs))):
        SearchSpace(**kwargs)
