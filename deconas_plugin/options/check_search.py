"""Tries the parts of a search that would otherwise show hours after its start that they do not take their options."""
import inspect

import torch

from deconas_plugin.cost.pareto import pareto_front
from deconas_plugin.errors import OptionError
from deconas_plugin.files.paths import tool_command
from deconas_plugin.options.check_weights import check_weights
from deconas_plugin.options.trial import refusals
from deconas_plugin.search.build import SearchParts
from deconas_plugin.search.halving import HalvingOptions
from deconas_plugin.search.reward import Score
from deconas_plugin.search.strategy import STRATEGIES


def check_search(opt, supernet):
    """Check the controller, the strategy, the penalty and the derivation of a search.

    Args:
        opt (dict): Options whose sections, keys and types have been checked.
        supernet (DeCoNASSuperNet): Built from them, on any device, as its weights are not used.

    Raises:
        OptionError: Something does not take its options, or nothing could be derived.
    """
    parts = SearchParts(opt, supernet)
    counter = parts.counter
    with refusals('search.penalty', 'this penalty cannot be computed'):
        parts.penalty(counter.everything)
    _check_strategy(opt, parts)
    _check_derivation(opt['derive'], counter)
    if opt['derive'].get('halving'):
        HalvingOptions(**opt['derive']['halving']).check(opt, opt['derive']['num_samples'])


def check_rounds(opt):
    """Check that a search gets to a controller round, without which its controller is as random as at the start, and
    scores more genotypes than the random ones that a population begins with.

    Raises:
        OptionError: It does not within its weight steps.
    """
    search, total = opt['search'], opt['train']['total_iter']
    if total == 0:
        if not opt['derive'].get('halving'):
            raise OptionError('derive.halving: missing; with train.total_iter = 0 there are no shared weights, and it '
                              'is the search: name candidates, steps, rungs and start: fresh, or raise total_iter')
        for key in ('pretrain_network_g', 'pretrain_network_c'):
            if opt['path'].get(key) is not None:
                raise OptionError(f'path.{key}: expected none with train.total_iter = 0, as nothing starts from these '
                                  f'weights, got {opt["path"][key]}; leave it out, or raise total_iter')
        return
    first = (search['warmup_iter'] // search['controller_freq'] + 1) * search['controller_freq']
    if first > total:
        key = 'warmup_iter' if search['warmup_iter'] >= total else 'controller_freq'
        raise OptionError(f'search.{key}: expected a controller round within train.total_iter = {total}, and '
                          f'with warmup_iter = {search["warmup_iter"]} and controller_freq = '
                          f'{search["controller_freq"]} the first comes at {first}; lower {key}, or raise total_iter')
    rounds = total // search['controller_freq'] - search['warmup_iter'] // search['controller_freq']
    scored = rounds * search['controller_steps'] * search['num_samples']
    keywords = inspect.signature(STRATEGIES.get(search['strategy']['type'])).parameters
    if 'population' in keywords:
        population = search['strategy'].get('population', keywords['population'].default)
        if population >= scored:
            raise OptionError(f'search.strategy.population: expected less than {scored}, the genotypes that {rounds} '
                              f'controller rounds score, got {population}; all of them would be random. Lower it, or '
                              'raise search.controller_steps or num_samples')


def _check_strategy(opt, parts):
    """One controller step, with rewards that teach nothing; the random state stays as it is."""
    network = {key: value for key, value in opt['network_c'].items() if key != 'type'}
    with torch.random.fork_rng(devices=[]):
        with refusals('network_c', f'{opt["network_c"]["type"]} cannot be built from {network}'):
            controller = parts.controller
        check_weights(opt, {'network_c': controller})
        with refusals('search.strategy', f'no controller step can be made with {opt["search"]["strategy"]}'):
            strategy = parts.strategy
            genotypes = strategy.ask(opt['search']['num_samples'])
            strategy.tell(genotypes, [0.0] * len(genotypes))
    if strategy.measures and opt['search']['penalty']:
        raise OptionError(f'search.penalty: expected [] with the strategy {opt["search"]["strategy"]["type"]}, which '
                          f'trades {", ".join(strategy.measures)} against PSNR by itself; take it out, or choose '
                          'another strategy')


def _check_derivation(derive, counter):
    if derive.get('max_latency') is not None and counter.latency_table is None:
        raise OptionError(f'derive.max_latency: expected search.latency_table with it, got {derive["max_latency"]!r} '
                          f'alone; make a table with {tool_command("latency")}, or leave it out')
    floor = counter.count(counter.nothing).figures()
    for name in ('params', 'mult_adds'):
        limit = derive.get(f'max_{name}')
        if limit is not None and limit < floor[name]:
            raise OptionError(f'derive.max_{name}: expected at least {floor[name]:,}, which the smallest network of '
                              f'the space has, got {limit:,}; raise it, or lower network_g.num_feat or num_block')
    with refusals('derive.front', f'no front can be taken against {derive.get("front")!r}'):
        pareto_front([Score(counter.everything, 0.0, {})], counter, derive.get('front') or None)
