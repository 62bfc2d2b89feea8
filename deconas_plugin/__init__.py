"""DeCoNAS for BasicSR: importing this package registers the search space, controller and models in BasicSR."""
from deconas_plugin import compat

__version__ = '0.1.0'

compat.apply()

# Registration: BasicSR can be imported only from here on.
from deconas_plugin import data  # noqa: E402, F401
