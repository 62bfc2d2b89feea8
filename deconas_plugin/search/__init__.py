"""The search: strategies, rewards and penalties, and deriving the network that was found.

The room has the name of the function, and so can be called: ``deconas_plugin.search(options)``. Weights are trained in
``models``; a whole run is put together in ``runs``.
"""
import sys
from types import ModuleType


class _Callable(ModuleType):

    def __call__(self, options, **keywords):
        """Search: See :func:`deconas_plugin.api.searching.search`."""
        from deconas_plugin.api.searching import search
        return search(options, **keywords)


sys.modules[__name__].__class__ = _Callable
