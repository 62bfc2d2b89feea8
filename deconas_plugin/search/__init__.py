"""Everything without parameters: search space, genotype, complexity, search strategy and derivation.

``deconas_plugin.search(options)`` searches: the room has the name of the function, and so can be called.
"""
import sys
from types import ModuleType


class _Callable(ModuleType):

    def __call__(self, options, **keywords):
        """Search: See :func:`deconas_plugin.api.searching.search`."""
        from deconas_plugin.api.searching import search
        return search(options, **keywords)


sys.modules[__name__].__class__ = _Callable
