"""The option file of a league: checked as a whole, with every member built and counted, before anything is trained."""
import hashlib
import json
import re
from copy import deepcopy
from dataclasses import dataclass

from basicsr.archs import build_network

from deconas_plugin.cost.count import Cost
from deconas_plugin.cost.modules import count_network, merge_branches
from deconas_plugin.errors import DeCoNASError, OptionError
from deconas_plugin.files.paths import below_root, locate
from deconas_plugin.files.user_code import import_user_code
from deconas_plugin.options.check import check_options
from deconas_plugin.options.check_data import paired_images
from deconas_plugin.options.check_keys import check_section
from deconas_plugin.options.check_text import check_plain
from deconas_plugin.options.defaults import with_defaults
from deconas_plugin.options.read import load_options
from deconas_plugin.options.schema import LEAGUE_OPTIONS
from deconas_plugin.options.trial import refusals
from deconas_plugin.space.genotype import Genotype

# What all trainings must have in common for their numbers to be comparable; members, seeds, rates and test sets may be
# added.
SHARED = ('scale', 'rate_iter', 'datasets', 'train')


@dataclass(frozen=True)
class Member:
    """A network of a league.

    Attributes:
        name (str): In tables.
        network_g (dict): A registered type and its keywords.
        weights (str | None): File to start from.
        cost (Cost): As deployed.
    """
    name: str
    network_g: dict
    weights: str | None
    cost: Cost

    @property
    def key(self):
        """str: Name for files; another one as soon as the network is another."""
        text = json.dumps([self.network_g, below_root(self.weights)], sort_keys=True)
        return f'{re.sub(r"[^A-Za-z0-9]+", "_", self.name)}_{hashlib.sha256(text.encode()).hexdigest()[:8]}'

    @property
    def is_own(self):
        """bool: Whether it is of this project's search space."""
        return self.network_g['type'] == 'DeCoNASNet'

    def build(self, state=None):
        """nn.Module: The network as it is deployed, in evaluation mode.

        Args:
            state (dict[str, Tensor] | None): Its weights. Default: initial ones.
        """
        net = build_network(deepcopy(self.network_g))
        if state is not None:
            net.load_state_dict(state)
        return net.fuse().eval() if hasattr(net, 'fuse') else merge_branches(net)


def load_league(path, changes=None):
    """Read and check the option file of a league.

    Args:
        path (str | Path): The file.
        changes (list[str] | None): ``section:key=value`` of --force_yml.

    Returns:
        tuple[dict, list[Member]]: The options, and the members, cheapest first.

    Raises:
        DeCoNASError: One line: a member costs more than it may, does not upscale by the scale, starts from weights that
            are not its own, or anything else cannot be used.
    """
    opt = load_options(path, changes, LEAGUE_OPTIONS)
    try:
        check_plain(opt)
        import_user_code(opt)
        opt = with_defaults(opt, 'league')
        locate(opt)  # load_options has not seen the default of test_data
        check_section(opt, LEAGUE_OPTIONS, '')
        _check_lists(opt)
        members = [_member(member, opt, path) for member in opt['members']]
        _check_images(opt)
    except DeCoNASError as error:
        raise type(error)(str(error) if str(error).endswith(f'({path})') else f'{error} ({path})') from error
    return opt, sorted(members, key=lambda member: member.cost.mult_adds)


def run_options(opt, member, rate, seed, steps):
    """Options of one training, as ``deconas train`` takes them.

    Args:
        opt (dict): Of the league.
        member (Member): Who is trained.
        rate (float): Peak learning rate.
        seed (int): Of initial weights, order and patches.
        steps (int): Weight steps.
    """
    train = {**opt['train'], 'total_iter': steps, 'optim_g': {**opt['train']['optim_g'], 'lr': rate}}
    return {
        'name': f'{member.key}_lr{rate:g}_seed{seed}_{steps}', 'model_type': 'DeCoNASModel', 'scale': opt['scale'],
        'num_gpu': opt['num_gpu'], 'manual_seed': seed,
        **({'plugins': opt['plugins']} if opt.get('plugins') else {}),
        'datasets': {'train': opt['datasets']['train']}, 'network_g': member.network_g,
        'path': {'pretrain_network_g': member.weights, 'param_key_g': 'params_ema'}, 'train': train,
        'logger': {'print_freq': 500, 'save_checkpoint_freq': steps, 'save_checkpoint_minutes': 1, 'keep_states': 1},
    }


def _check_lists(opt):
    names = [member['name'] for member in opt['members']]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise OptionError(f'members: two are called {twice}; give them different names')
    kinds = {'members': (dict, 'networks'), 'seeds': (int, 'whole numbers'),
             'learning_rates': ((int, float), 'numbers'),
             'budgets': ((int, float), 'numbers'), 'test_sets': (str, 'names')}
    for key, (kind, expected) in kinds.items():
        values = opt.get(key)
        optional = key in ('budgets', 'test_sets')
        good = all(isinstance(value, kind) and not isinstance(value, bool) for value in values or ())
        if values is None and optional:
            continue
        if not good or not values and not optional or key != 'members' and len(set(values)) < len(values):
            raise OptionError(f'{key}: expected a list of different {expected}, got {values!r}')
    for key, least in (('seeds', 'of at least 0'), ('learning_rates', 'above 0'), ('budgets', 'above 0')):
        wrong = [value for value in opt.get(key) or () if value < 0 or not value and key != 'seeds']
        if wrong:
            raise OptionError(f'{key}: expected {kinds[key][1]} {least}, got {wrong[0]!r}')
    if 'lr' in opt['train']['optim_g']:
        raise OptionError('train.optim_g.lr: expected none in a league; name the candidates in learning_rates')
    if opt['train']['total_iter'] < opt['rate_iter']:
        raise OptionError(f'rate_iter: expected at most train.total_iter ({opt["train"]["total_iter"]}), '
                          f'got {opt["rate_iter"]}')
    if opt['train']['scheduler'].get('type') != 'WarmupCosineLR':
        raise OptionError('train.scheduler.type: expected WarmupCosineLR, which fits itself to rate_iter and to '
                          f'total_iter, got {opt["train"]["scheduler"].get("type")!r}')


def _check_images(opt):
    """What every member's options cannot tell: that the images that rank are not those that choose."""
    ranking, choosing = (paired_images(f'datasets.{key}', opt['datasets'][key], opt['scale'])[0]
                         for key in ('val', 'choose'))
    if both := ranking & choosing:
        folder, image = min(both)
        raise OptionError(f'datasets.val: expected other images than datasets.choose, but both read {image} of '
                          f'{folder}; choose different ones with keys')


def _member(given, opt, path):
    """Member: Checked and counted."""
    name, network = f'members: {given["name"]}', _with_sizes(given['network_g'])
    if network.get('pretrained') is not None:
        raise OptionError(f'{name}: expected no network_g.pretrained, as all begin alike; weights to start from are '
                          'named in weights')
    member = Member(given['name'], network, given.get('weights'), None)
    # All rates, steps and seeds make the same options but for these numbers.
    options = run_options(opt, member, opt['learning_rates'][0], 0, opt['rate_iter'])
    datasets = opt['datasets']
    options['datasets'] = {'train': datasets['train'], 'val': datasets['val'], 'val_choose': datasets['choose']}
    try:
        check_options(options, path, 'train')
    except DeCoNASError as error:
        raise type(error)(f'{name}: {error}') from error
    with refusals(name, f'{network["type"]} cannot be built from its keywords'):
        net = build_network(deepcopy(network))
        # Convolutions count as in the project's tables: before DeCoNASNet.fuse(), which changes their number.
        cost = count_network(merge_branches(net), opt['scale'], network['type'])
    if cost.mult_adds > opt['max_mult_adds']:
        raise OptionError(f'{name}: expected at most {opt["max_mult_adds"] / 1e9:.1f} G Mult-Adds @720p '
                          f'(max_mult_adds), it has {cost.mult_adds / 1e9:.1f} G; make it smaller')
    return Member(member.name, network, member.weights, cost)


def _with_sizes(network):
    """dict: ``network_g`` with the sizes that its ``genotype.yml`` tells, where it names one and leaves them out."""
    genotype = network.get('genotype')
    if network.get('type') != 'DeCoNASNet' or not str(genotype).endswith(('.yml', '.yaml')):
        return network
    found = Genotype.load(genotype)
    sizes = {'num_block': found.num_block, 'num_layer': found.num_layer,
             'operations': list(found.space.operations), **({'num_feat': found.width} if found.width else {})}
    # The bits themselves: a file of this name may hold others tomorrow.
    return {**sizes, **network, 'genotype': str(found.connections)}
