"""Everything with parameters: candidate operations, derived network, supernet and controller.

Files that end in ``_arch.py`` register what they hold in BasicSR. What networks cost is counted in ``cost``, how
trained ones are run is said in ``inference``.
"""
