"""Checks that the data an option file names is there, pairs up, and is not used for two purposes."""
from pathlib import Path

from deconas_plugin.data.pairs import list_pairs
from deconas_plugin.data.patch_options import PatchOptions
from deconas_plugin.errors import DataError, OptionError
