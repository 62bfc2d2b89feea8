"""The controller and REINFORCE: what is sampled is what is judged, and it learns."""
import random
from copy import deepcopy

import pytest
import torch

from deconas_plugin.archs.controller_arch import DeCoNASController
from deconas_plugin.errors import OptionError
from deconas_plugin.search.reinforce import Reinforce
from deconas_plugin.search.strategy import build_strategy
from deconas_plugin.space.genotype import SearchSpace

SPACES = [SearchSpace(), SearchSpace(search_fusion=True), SearchSpace(num_block=2, num_layer=2)]


def make(space=SPACES[0], seed=0, **kwargs):
    torch.manual_seed(seed)
    return DeCoNASController(space, **kwargs)


def spread(controller, factor=10):
    """Weights so large that probabilities differ between bits and depend on what came before."""
    with torch.no_grad():
        for parameter in controller.parameters():
            parameter.mul_(factor)
    return controller


@pytest.mark.parametrize('space', SPACES)
def test_shapes_and_start(space):
    controller = make(space)
    bits = controller.sample(5)
    assert bits.shape == (5, space.num_bits)
    assert set(bits.unique().tolist()) <= {0, 1}
    log_prob, entropy = controller.evaluate(bits)
    # Close to uniform at the start: every bit costs about log 2.
    assert torch.allclose(log_prob, torch.full((5, ), -0.6931 * space.num_bits), rtol=0.05)
    assert torch.allclose(entropy, torch.full((5, ), 0.6931 * space.num_bits), rtol=0.01)
    assert all(-0.1 <= p.min() and p.max() <= 0.1 for p in controller.parameters())


def test_log_probs_are_those_of_the_sampling_distribution():
    """On a space of 3 bits the log-probs of all genotypes sum to one and match how often each is drawn."""
    controller = spread(make(SearchSpace(1, 1), tanh_constant=None), 20)
    every = torch.tensor([[a, b, c] for a in (0, 1) for b in (0, 1) for c in (0, 1)])
    probabilities = controller.evaluate(every)[0].exp()
    assert abs(probabilities.sum().item() - 1) < 1e-5
    drawn = controller.sample(20_000)
    frequencies = torch.stack([(drawn == genotype).all(1).float().mean() for genotype in every])
    assert (frequencies - probabilities).abs().max() < 0.015
    assert probabilities.max() > 0.2


@pytest.mark.parametrize('space', SPACES)
def test_greedy_and_probabilities_agree_with_evaluate(space):
    controller = spread(make(space, tanh_constant=None))
    greedy = controller.greedy()
    one_flip = greedy.repeat(space.num_bits, 1) ^ torch.eye(space.num_bits, dtype=torch.int64)
    # The last bit has no successors: flipping it can only lower the probability.
    assert controller.evaluate(greedy)[0] > controller.evaluate(one_flip[-1:])[0]
    probabilities = controller.bit_probabilities(2000)
    assert (probabilities - controller.sample(4000).float().mean(0)).abs().max() < 0.05


def test_tanh_constant_bounds_every_bit():
    controller = spread(make(tanh_constant=0.44), 100)
    log_probs = torch.cat(controller._log_probs(controller.sample(50)), 1)
    probabilities = log_probs.exp()
    assert 0.293 <= probabilities.min() and probabilities.max() <= 0.707
    with pytest.raises(OptionError, match='tanh_constant'):
        make(tanh_constant=0)


def test_same_seed_same_genotypes():
    assert torch.equal(make(seed=5).sample(8), make(seed=5).sample(8))
    assert not torch.equal(make(seed=5).sample(8), make(seed=6).sample(8))


def test_the_update_uses_the_genotype_that_earned_the_reward():
    """One update with a good reward makes that very genotype likelier, whatever a fresh sample would be."""
    for seed in range(10):
        controller = make(seed=seed, tanh_constant=None)
        strategy = Reinforce(controller, lr=1e-2, entropy_weight=0)
        strategy.mean_reward = 0.0
        genotypes = strategy.ask(1)
        bits = torch.tensor([genotypes[0].bits])
        before = controller.evaluate(bits)[0].item()
        log = strategy.tell(genotypes, [1.0])
        assert log['log_prob'] == pytest.approx(before, rel=1e-6)
        assert controller.evaluate(bits)[0].item() > before + 0.05


def test_entropy_bonus_has_a_gradient():
    controller = spread(make(tanh_constant=None), 5)
    strategy = Reinforce(controller, lr=1e-2, entropy_weight=1.0)
    bits = controller.sample(16)
    before = controller.evaluate(bits)[1].mean().item()
    for _ in range(20):
        strategy.tell(strategy.ask(4), [1.0] * 4)  # equal rewards: the advantage is zero, the bonus alone acts
    assert controller.evaluate(controller.sample(16))[1].mean().item() > before + 0.4


def test_baselines():
    strategy = Reinforce(make())
    genotypes = strategy.ask(1)
    assert strategy.tell(genotypes, [30.0])['advantage'] == 0
    log = strategy.tell(genotypes, [31.0])
    assert (log['baseline'], log['advantage']) == (30.0, 1.0)
    assert strategy.mean_reward == pytest.approx(30.01)
    strategy = Reinforce(make(), baseline='leave_one_out')
    log = strategy.tell(strategy.ask(3), [1.0, 2.0, 6.0])
    assert log['baseline'] == pytest.approx(3.0) and log['advantage'] == pytest.approx(0.0)
    with pytest.raises(OptionError, match='num_samples'):
        strategy.tell(strategy.ask(1), [1.0])


def test_leave_one_out_judges_each_against_the_others():
    strategy = Reinforce(make(), baseline='leave_one_out')
    assert strategy._baselines(torch.tensor([1.0, 2.0, 6.0])).tolist() == [4.0, 3.5, 1.5]


def test_a_planted_target_is_found():
    space = SPACES[0]
    controller = make(tanh_constant=None)
    target = torch.tensor(space.sample(random.Random(7)).bits)
    chance = (controller.sample(500) == target).float().mean().item()
    assert abs(chance - 0.5) < 0.02
    # Without a bonus that weighs as much as a bit, bits settle before the controller can tell the steps apart.
    strategy = Reinforce(controller, lr=5e-3, baseline='leave_one_out', entropy_weight=7e-3)
    for _ in range(600):
        genotypes = strategy.ask(16)
        strategy.tell(genotypes, [(torch.tensor(g.bits) == target).float().mean().item() for g in genotypes])
    assert (controller.sample(500) == target).float().mean() >= 0.95


def test_state_continues_exactly():
    def run(strategy, steps):
        torch.manual_seed(1)
        for _ in range(steps):
            genotypes = strategy.ask(2)
            strategy.tell(genotypes, [sum(g.bits) / 30 for g in genotypes])

    first, second = Reinforce(make()), Reinforce(make(seed=9))
    run(first, 3)
    second.controller.load_state_dict(first.controller.state_dict())
    second.load_state_dict(deepcopy(first.state_dict()))
    run(first, 3)
    run(second, 3)
    assert first.mean_reward == second.mean_reward
    for one, two in zip(first.controller.parameters(), second.controller.parameters(), strict=True):
        assert torch.equal(one, two)


def test_unknown_strategies_and_keywords():
    with pytest.raises(OptionError, match='expected one of .*reinforce.*got .annealing'):
        build_strategy(make(), {'type': 'annealing'})
    with pytest.raises(OptionError, match='no option temperature'):
        build_strategy(make(), {'type': 'reinforce', 'temperature': 1})
