"""DeCoNAS for BasicSR: importing this package registers the search space, controller and models in BasicSR.

They are in BasicSR's registries as soon as BasicSR is imported, see :mod:`deconas_plugin.registration`.
"""
from deconas_plugin import registration

__version__ = '0.1.0'

registration.install()
