"""Search spaces with a name: what a supernet has where its options do not say."""
from deconas_plugin.errors import OptionError
from deconas_plugin.space.choices import PAPER_OPERATIONS, checked_numbers
from deconas_plugin.space.genotype import SearchSpace

SPACES = {
    'paper': dict(
        num_feat=64,
        num_block=4,
        num_layer=4,
        operations=PAPER_OPERATIONS,
        attention='channel',
        activation='relu',
        tail='classic',
        residual='none',
    ),
    # At x2 from 2 to 539 G Mult-Adds @720p; half of its networks cost less than 33 G, three quarters less than 71 G.
    'light': dict(
        num_feat=(16, 20, 24, 28, 32, 40, 48, 64),
        num_block=(2, 3, 4, 6),
        num_layer=(2, 3),
        operations=('rep_conv3x3', 'bs_conv3x3', 'bs_conv7x7', 'gate_conv3x3'),
        attention=('none', 'channel', 'spatial', 'both'),
        activation=('relu', 'lrelu', 'silu', 'gelu'),
        tail='light',
        residual='bicubic',
    ),
}


def complete(space, **options):
    """Options of a supernet, with what a space says for those that are not given.

    Args:
        space (str): One of :data:`SPACES`.
        options: Its keywords; None is not given.

    Returns:
        dict: The keywords, with tuples for lists.

    Raises:
        OptionError: There is no such space.
    """
    if space not in SPACES:
        raise OptionError(f'space: expected one of {", ".join(SPACES)}, got {space!r}')
    named = SPACES[space]
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
    return {key: value if given.get(key) is None else given[key] for key, value in named.items()}


def build_space(num_feat, num_block, num_layer, operations, attention, activation, search_fusion=False,
                share_blocks=True):
    """SearchSpace: The one of a supernet with these keywords, where tuples are choices."""
    widths = checked_numbers('width', num_feat) if isinstance(num_feat, (list, tuple)) else ()
    return SearchSpace(num_block, num_layer, operations, search_fusion, share_blocks, widths, attention, activation)
