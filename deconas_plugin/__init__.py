"""DeCoNAS for BasicSR: importing this package registers the search space, controller and models in BasicSR."""
import importlib

from deconas_plugin import compat

__version__ = '0.1.0'

compat.apply()

# What registers itself in a registry, or adapts BasicSR, when it is imported.
for _module in ('archs.deconas_arch', 'archs.deconas_supernet_arch', 'archs.controller_arch', 'archs.compared',
                'data.basicsr_images', 'data.deconas_patch_dataset', 'models.deconas_model',
                'models.deconas_search_model', 'search.reinforce', 'search.random_search', 'search.evolution',
                'search.nsga2', 'training.losses'):
    importlib.import_module(f'deconas_plugin.{_module}')
