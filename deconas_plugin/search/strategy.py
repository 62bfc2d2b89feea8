"""Search strategies: what asks for genotypes to be scored and learns from their rewards.

A strategy has ``ask(num_samples)`` and ``tell(genotypes, rewards)``, ``candidates(num_samples)`` for the derivation,
and ``state_dict()`` / ``load_state_dict(state)``.
"""
import inspect

from mmengine.registry import Registry

from deconas_plugin.errors import OptionError

STRATEGIES = Registry('search strategy', scope='deconas')


def build_strategy(controller, options):
    """Build the strategy that the options name.

    Args:
        controller (DeCoNASController): Proposes genotypes.
        options (dict): ``type`` and the keywords of the strategy.

    Returns:
        The strategy.

    Raises:
        OptionError: There is no such strategy or keyword.
    """
    options = dict(options)
    name = options.pop('type')
    if name not in STRATEGIES.module_dict:
        raise OptionError(f'search.strategy.type: expected one of {", ".join(STRATEGIES.module_dict)}, got {name!r}')
    strategy = STRATEGIES.module_dict[name]
    unknown = set(options) - set(inspect.signature(strategy).parameters)
    if unknown:
        raise OptionError(f'search.strategy: {name} has no option {sorted(unknown)[0]}')
    return strategy(controller, **options)
