import pytest
from basicsr.data.data_sampler import EnlargedSampler

from deconas_plugin.data.patch_draw import PatchDraw, ResumableSampler


class Images(list):
    accepts_draws = False


class Patches(list):
    accepts_draws = True


@pytest.mark.parametrize(('world', 'ratio', 'epoch'), [(1, 1, 0), (1, 3, 2), (2, 1, 1), (3, 2, 5)])
def test_seed_0_gives_the_order_of_basicsr(world, ratio, epoch):
    for rank in range(world):
        ours, stock = (kind(Images(range(7)), world, rank, ratio) for kind in (ResumableSampler, EnlargedSampler))
        ours.set_epoch(epoch)
        stock.set_epoch(epoch)
        assert list(ours) == list(stock)
        assert len(ours) == len(stock)


def test_other_seeds_and_epochs_give_other_orders():
    orders = set()
    for seed in range(4):
        sampler = ResumableSampler(Images(range(50)), 1, 0, seed=seed)
        for epoch in range(4):
            sampler.set_epoch(epoch)
            orders.add(tuple(sampler))
    assert len(orders) == 16
    assert all(sorted(order) == list(range(50)) for order in orders)


def test_draws_carry_epoch_seed_and_a_position_that_no_other_sample_has():
    samplers = [ResumableSampler(Patches(range(5)), 2, rank, ratio=3, seed=9) for rank in range(2)]
    draws = []
    for sampler in samplers:
        sampler.set_epoch(4)
        draws += list(sampler)
    assert all(isinstance(draw, PatchDraw) and draw.epoch == 4 and draw.seed == 9 for draw in draws)
    assert sorted(draw.position for draw in draws) == list(range(16))


def test_draws_do_not_depend_on_the_number_of_processes():
    def draws(world):
        return {draw for rank in range(world) for draw in ResumableSampler(Patches(range(6)), world, rank, ratio=2)}
    assert draws(1) == draws(2) == draws(4)


@pytest.mark.parametrize('data', [Images(range(10)), Patches(range(10))])
def test_start_inside_an_epoch_gives_the_rest_of_it(data):
    whole = ResumableSampler(data, 2, 1, ratio=2, seed=3)
    whole.set_epoch(2)
    resumed = ResumableSampler(data, 2, 1, ratio=2, seed=3)
    resumed.set_position(2, 4)
    resumed.set_epoch(2)  # what a training loop does at the start of each epoch
    for _ in range(2):  # BasicSR's prefetcher passes through the sampler twice
        assert list(resumed) == list(whole)[4:]
    for sampler in (whole, resumed):
        sampler.set_epoch(3)
    assert list(resumed) == list(whole)
