"""Runs BasicSR's own pipelines with checked options."""
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

from basicsr.test import test_pipeline as basicsr_test
from basicsr.train import train_pipeline as basicsr_train

from deconas_plugin.data.sample_photos import prepare_sample_photos
from deconas_plugin.derivation import run_derivation
from deconas_plugin.utils.check_options import check_options
from deconas_plugin.utils.options import load_options, save_options
from deconas_plugin.utils.paths import project_root


def run_search(args):
    """Search, then derive. See :func:`run_pipeline`."""
    opt = run_pipeline('search', basicsr_train, args)
    name = f'debug_{opt["name"]}' if args.debug and not opt['name'].startswith('debug') else opt['name']
    run_derivation(project_root() / 'experiments' / name)


def run_train(args):
    """Train. See :func:`run_pipeline`."""
    run_pipeline('train', basicsr_train, args)


def run_test(args):
    """Test. See :func:`run_pipeline`."""
    run_pipeline('test', basicsr_test, args)


def run_pipeline(task, pipeline, args):
    """Check an option file and run one of BasicSR's pipelines with it.

    Args:
        task (str): 'search', 'train' or 'test'.
        pipeline (callable): BasicSR's.
        args (argparse.Namespace): What tools/search.py parses.

    Returns:
        dict: The options.

    Raises:
        DeCoNASError: Options or data cannot be used; no folder was made.
    """
    opt = load_options(args.opt, args.force_yml)
    if isinstance(opt.get('sample_photos'), str):
        prepare_sample_photos(opt['sample_photos'], opt.get('scale', 2))
    check_options(opt, args.opt, task)
    with _arguments(opt, args):
        pipeline(str(project_root()))
    return opt


@contextmanager
def _arguments(opt, args):
    """The command line that BasicSR's parser reads, with the changes of --force_yml already made."""
    own = sys.argv
    with tempfile.TemporaryDirectory() as folder:
        path = args.opt
        if args.force_yml:
            # BasicSR would evaluate the values as Python; and it copies this file into the experiment folder.
            path = Path(folder, Path(args.opt).name)
            save_options(opt, path, f'{args.opt} with --force_yml {" ".join(args.force_yml)}')
        sys.argv = [own[0], '-opt', str(path), '--launcher', args.launcher]
        sys.argv += ['--auto_resume'] * args.auto_resume + ['--debug'] * args.debug
        try:
            yield
        finally:
            sys.argv = own
