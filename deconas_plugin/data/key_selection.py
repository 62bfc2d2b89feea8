"""Choosing images of a dataset by name, so that one database serves a train and a held-out split."""
import re

from deconas_plugin.data.splits import natural_key
from deconas_plugin.errors import OptionError

_SUB_IMAGE = re.compile(r'_s\d+$')


def image_name(key):
    """Name of the image that a sub-image was cut from: ``0001_s012`` belongs to ``0001``."""
    return _SUB_IMAGE.sub('', key)


def select_keys(available, selection):
    """The keys of ``available`` whose image is selected, in their order.

    Args:
        available (list[str]): Keys, e.g. ``['0001_s001', '0001_s002', '0002_s001']``.
        selection (str | list[str]): Names and ranges (both ends included) of images: ``0001-0750``,
            ``img_001-img_050``, ``baboon``, or a list of them.

    Raises:
        OptionError: a part of the selection matches no image.
    """
    parts = [selection] if isinstance(selection, str) else selection
    names = {image_name(key) for key in available}
    chosen = set().union(*(_matches(part, names) for part in parts))
    return [key for key in available if image_name(key) in chosen]


def _matches(part, names):
    if part in names:
        return {part}
    first, dash, last = part.partition('-')
    if dash:
        found = {name for name in names if natural_key(first) <= natural_key(name) <= natural_key(last)}
        if found:
            return found
    raise OptionError(f"keys: '{part}' matches none of the {len(names)} images, "
                      f"which run from '{min(names)}' to '{max(names)}'")
