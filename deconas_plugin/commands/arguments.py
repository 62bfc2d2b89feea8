"""What several commands have: each argument is described once and means the same in all of them."""
import argparse
import importlib
import sys

from deconas_plugin.errors import DeCoNASError, OptionError
from deconas_plugin.files import paths

SCALES = (2, 3, 4)


def at_least(minimum):
    """callable: The type of an argument that is a whole number of at least ``minimum``."""

    def whole_number(text):
        if not text.isdecimal() or int(text) < minimum:
            raise argparse.ArgumentTypeError(f'expected a whole number of at least {minimum}, got {text}')
        return int(text)

    return whole_number


positive = at_least(1)


def above_zero(text):
    """float: The type of an argument that is a number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = 0
    if not 0 < number < float('inf'):
        raise argparse.ArgumentTypeError(f'expected a number above 0, got {text}')
    return number


def option_file(name):
    """str: The type of an argument that names an option file, one of the plugin included."""
    return paths.option_file(name)


def add_option_file(parser, what='option file (YAML)', **keywords):
    """``-opt``."""
    action = parser.add_argument('-opt', **{'required': True, 'metavar': 'FILE', 'type': option_file, **keywords},
                                 help=f'{what}, or the name of one that comes with the plugin')
    action.completer = complete_option_file


def add_changes(parser):
    """``--force_yml``, as BasicSR calls it."""
    parser.add_argument('--force_yml', '--force-yml', nargs='+', metavar='KEY=VALUE',
                        help='change or add options; section.key=value, the value as in YAML')


def add_training_arguments(parser):
    """Those of BasicSR's own pipelines."""
    add_option_file(parser)
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm'], default='none', help='job launcher')
    parser.add_argument('--auto_resume', '--auto-resume', action='store_true',
                        help='continue from the newest training state')
    parser.add_argument('--debug', action='store_true', help="BasicSR's debug mode: log and save often")
    add_changes(parser)
    # torch.distributed.launch passes it in either spelling; torchrun sets LOCAL_RANK instead.
    parser.add_argument('--local-rank', '--local_rank', type=int, metavar='N', help=argparse.SUPPRESS)


def training_keywords(args):
    """dict: What they mean, as :func:`deconas_plugin.runs.pipeline.run_training` takes it."""
    return {'changes': args.force_yml, 'launcher': args.launcher, 'auto_resume': args.auto_resume,
            'debug': args.debug, 'local_rank': args.local_rank, 'started': args.started}


def add_output(parser, what, **keywords):
    """``-o``."""
    parser.add_argument('-o', '--output', metavar='PATH', help=what, **keywords)


def add_device(parser):
    """``--device``."""
    parser.add_argument('--device', metavar='NAME', help='cpu, cuda or cuda:N (default: cuda where there is one)')


def add_scale(parser, otherwise, **keywords):
    """``--scale``."""
    parser.add_argument('--scale', type=int, choices=SCALES, help=f'how much larger HR is than LR ({otherwise})',
                        **keywords)


def add_lr_size(parser, otherwise):
    """``--lr-size``."""
    parser.add_argument('--lr-size', type=positive, nargs=2, metavar=('W', 'H'),
                        help=f'width and height of the LR image ({otherwise})')


def add_lr(parser, what):
    """``--lr``."""
    parser.add_argument('--lr', metavar='PATH', help=f'{what} (default: made from HR by bicubic)')


def add_tile(parser, otherwise, **keywords):
    """``--tile``."""
    parser.add_argument('--tile', metavar='N', help='side of a tile in LR pixels; it changes memory and time, not the '
                        f'result ({otherwise})', **{'type': positive, **keywords})


def add_max_minutes(parser):
    """``--max-minutes``."""
    parser.add_argument('--max-minutes', type=float, metavar='N',
                        help='stop in good order after this long; the same command continues')


def add_max_pixels(parser):
    """``--max-pixels``."""
    parser.add_argument('--max-pixels', type=positive, metavar='N',
                        help='leave out images of more pixels (default: 400 million)')


def add_iteration(parser):
    """``--iteration``."""
    parser.add_argument('--iteration', type=positive, metavar='N', help='checkpoint (default: the latest)')


def add_budget(parser):
    """``--max-params`` and ``--max-mult-adds``."""
    parser.add_argument('--max-params', type=above_zero, metavar='N', help='most parameters')
    parser.add_argument('--max-mult-adds', type=above_zero, metavar='N', help='most Mult-Adds @720p, for example 75e9')


def add_halving(parser, what):
    """``--halving``, ``--start`` and ``--generations``."""
    parser.add_argument('--halving', type=positive, nargs=3, metavar=('CANDIDATES', 'STEPS', 'RUNGS'), help=what)
    parser.add_argument('--start', choices=('shared', 'fresh'),
                        help='with --halving: from the shared weights, or from initial ones (default: shared)')
    parser.add_argument('--generations', type=positive, metavar='N',
                        help='with --halving: so many, each of half as many children of the best (default: 1)')


def halving_options(args):
    """HalvingOptions | None: What :func:`add_halving` was given.

    Raises:
        OptionError: Something of a halving was given, and no halving.
    """
    from deconas_plugin.search.halving import HalvingOptions
    more = {name: value for name in ('start', 'generations') if (value := getattr(args, name)) is not None}
    if more and not args.halving:
        raise OptionError(f'--{next(iter(more))}: expected --halving CANDIDATES STEPS RUNGS with it, got it alone')
    return HalvingOptions(*args.halving, **more) if args.halving else None


def add_experiment(parser):
    """The folder of a search."""
    parser.add_argument('experiment', metavar='FOLDER', help='experiment folder of a search')


def complete_option_file(prefix, **_):
    """list[str]: Option files of the plugin, and files and folders, that begin so: for a shell's completion."""
    return _begun(paths.shipped_option_files(), prefix)


def complete_weights(prefix, **_):
    """list[str]: Networks of the model zoo, and files and folders, that begin so."""
    from deconas_plugin.files.zoo import load_zoo
    return _begun(load_zoo().entries, prefix)


def _begun(names, prefix):
    from argcomplete.completers import FilesCompleter
    return [*(name for name in names if name.startswith(prefix)), *FilesCompleter()(prefix)]


def from_lab(module):
    """module: One of ``tools/lab``, which measures the project itself and comes with a checkout only.

    Raises:
        DeCoNASError: There is no checkout.
    """
    if not (paths.CHECKOUT / 'tools' / 'lab').is_dir():
        raise DeCoNASError(f'{module.split(".")[0]}: it measures the project itself and comes with a checkout only; '
                           'run it there, after pip install -e .')
    if str(paths.CHECKOUT) not in sys.path:  # and there it stays, for the processes that this one starts
        sys.path.insert(0, str(paths.CHECKOUT))
    return importlib.import_module(f'tools.lab.{module}')
