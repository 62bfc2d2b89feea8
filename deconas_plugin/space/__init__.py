"""Which networks there are: choices, genotypes and their text, blocks, and search spaces.

Whoever asks what a bit means is answered by ``layout.py``. It is plain Python: no torch, and nothing of what builds,
counts or searches networks.
"""
from deconas_plugin.space.genotype import NAMED_GENOTYPES, Genotype, SearchSpace
from deconas_plugin.space.spaces import SPACES

__all__ = ['NAMED_GENOTYPES', 'SPACES', 'Genotype', 'SearchSpace']
