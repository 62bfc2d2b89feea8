"""DeCoNAS for BasicSR: importing this package registers the search space, controller and models in BasicSR."""
import importlib

from deconas_plugin import compat

__version__ = '0.1.0'

compat.apply()

<<<<<<< HEAD
# What registers itself in BasicSR's registries when imported.
for _module in ('archs.deconas_arch', 'archs.deconas_supernet_arch', 'archs.controller_arch', 'models.deconas_model'):
    importlib.import_module(f'deconas_plugin.{_module}')
=======
# Registration: BasicSR can be imported only from here on.
from deconas_plugin import data  # noqa: E402, F401
>>>>>>> patches
