"""DeCoNAS for BasicSR: importing this package registers the search space, controller and models in BasicSR.

They are in BasicSR's registries as soon as BasicSR is imported, see :mod:`deconas_plugin.registration`. The names below
are imported when they are used.
"""
import importlib

from deconas_plugin import registration

__version__ = '0.1.0'

# Where the public names are.
_HOMES = {
    'search': 'search',  # a room that can be called
    'derive': 'api.searching', 'train': 'api.training',
    'search_space': 'api.space',
    'AskTell': 'api.ask_tell',
    'upscale': 'api.images',
    'load': 'archs.load', 'load_network': 'archs.load',
    'DeCoNASNet': 'archs.deconas_arch',
    'Genotype': 'space.genotype',
}
__all__ = [*_HOMES]

registration.install()


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    home = importlib.import_module(f'{__name__}.{_HOMES[name]}')
    found = home if name == 'search' else getattr(home, 'load_network' if name == 'load' else name)
    globals()[name] = found
    return found


def __dir__():
    return [*globals(), *_HOMES]
