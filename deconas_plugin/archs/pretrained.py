"""Weights of the model zoo for a network that is being built."""
from deconas_plugin.archs.network_options import network_options
from deconas_plugin.errors import DeCoNASError, WeightsError
from deconas_plugin.search.genotype import Genotype
from deconas_plugin.utils.state_files import load_state
from deconas_plugin.zoo.catalogue import load_zoo


def load_pretrained(name, given):
    """Load weights by name.

    Args:
        name (str): Of the model zoo.
        given (dict): Arguments of DeCoNASNet that must agree with the weights.

    Returns:
        tuple[dict, dict[str, Tensor]]: The arguments of DeCoNASNet that the weights tell, and the weights.

    Raises:
        WeightsError: There are no such weights, they are damaged, or an argument does not agree.
    """
    if not isinstance(name, str):
        raise WeightsError(f'network_g.pretrained: expected the name of a network of the model zoo, got {name!r}')
    state, _ = load_state(load_zoo().weights(name))
    options = network_options(state)
    for key, value in given.items():
        if key not in options:  # such as init: weights do not tell it, and there is nothing left for it to do
            raise WeightsError(f'network_g.{key}: expected none beside pretrained, got {value!r}; leave it out')
        if not _agree(key, value, options):
            raise WeightsError(f'network_g.{key}: expected {options[key]}, as of the pretrained weights {name}, got '
                               f'{value}; leave it out')
    return options, state


def _agree(key, value, options):
    if key == 'genotype':
        sizes = {name: options[name] for name in ('num_block', 'num_layer', 'operations', 'num_feat')}
        try:
            return Genotype.parse(value, **sizes) == options[key]
        except DeCoNASError:
            return False
    if key == 'rgb_mean':
        return len(value) == len(options[key]) and all(
            abs(one - other) < 1e-6 for one, other in zip(value, options[key], strict=True))
    return (tuple(value) if key == 'operations' else value) == options[key]
