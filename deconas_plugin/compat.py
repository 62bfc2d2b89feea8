"""The only place that works around BasicSR 1.4.2 on today's torch, torchvision and Python.

Every helper looks for the missing feature itself, never for a version number, does nothing where the feature is
there, and may run again. ``apply`` has to run before the first ``import basicsr`` of the process. The hook of
``start_up_hook`` runs this file by itself at every start of Python: it imports the standard library alone.
"""
import contextlib
import functools
import importlib
import sys
import types


def apply() -> None:
    """Make ``import basicsr`` work.

    Raises:
        ImportError: ``distutils`` is missing and setuptools, which supplies it, is not installed.
    """
    _require_distutils()
    mend_torchvision()
    importlib.import_module('torchvision')
    _alias_functional_tensor()


def _require_distutils() -> None:
    # basicsr.archs.arch_util imports distutils.version, which Python 3.12 dropped. setuptools brings its own copy and
    # puts it in place at start-up by a .pth file or, where that file is switched off, when setuptools is imported.
    if _can_import('distutils.version'):
        return
    if _can_import('setuptools') and _can_import('distutils.version'):
        return
    raise ImportError('BasicSR needs distutils, which setuptools supplies on this Python: pip install setuptools')


def mend_torchvision() -> None:
    """From now on ``import torchvision`` works, whether its compiled operators load or not."""
    if not any(isinstance(finder, TorchvisionFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, TorchvisionFinder())


class TorchvisionFinder:
    """Sees the import of torchvision before the other finders do, and leaves every other import alone."""

    def find_spec(self, name, path=None, target=None):
        return found_by_later(self, name, path, target, _run_torchvision) if name == 'torchvision' else None


def _run_torchvision(run, module):
    # torchvision's compiled operators do not load beside a torch they were not built for, such as a CPU-only torch
    # with the ordinary torchvision. torchvision describes nms and qnms to torch all the same, so that its import ends
    # in "operator torchvision::nms does not exist". BasicSR calls neither: their bare schemas are enough. Only this
    # import tells whether they load; defining a schema before it would clash with torchvision's own.
    try:
        run(module)
    except RuntimeError:
        import torch
        missing = [name for name in ('nms', 'qnms') if not hasattr(torch.ops.torchvision, name)]
        if not missing:
            raise
        for name in missing:
            torch.library.define(f'torchvision::{name}', '(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')
        run(module)


def found_by_later(finder, name, path, target, execute):
    """ModuleSpec | None: What the finders after ``finder`` find for the other arguments of ``find_spec``.

    Its module is run by ``execute(run, module)``, where ``run(module)`` does what would be done otherwise.
    """
    for later in sys.meta_path[sys.meta_path.index(finder) + 1:]:
        spec = later.find_spec(name, path, target)
        if spec is not None:
            if spec.loader is not None:  # None: a folder that is no package
                spec.loader.exec_module = functools.partial(execute, spec.loader.exec_module)
            return spec
    return None


def _alias_functional_tensor() -> None:
    # basicsr.data.degradations imports rgb_to_grayscale from a module that torchvision 0.17 removed. The public module
    # beside it has the same function.
    removed = 'torchvision.transforms.functional_tensor'
    if not _can_import(removed):
        sys.modules[removed] = importlib.import_module('torchvision.transforms.functional')


@contextlib.contextmanager
def scipy_stats_later():
    """Context in which whoever imports ``scipy.stats`` gets it when it is used, and not before.

    basicsr.data.degradations takes one function from it, which hardly anybody calls, and it is a quarter of the time
    that BasicSR takes to import.
    """
    name = 'scipy.stats'
    if name in sys.modules:
        yield
        return
    later = sys.modules[name] = types.ModuleType(name)
    later.multivariate_normal = lambda *args, **keywords: importlib.import_module(name).multivariate_normal(
        *args, **keywords)

    def real(attribute):
        if attribute.startswith('__'):  # the import system's own questions
            raise AttributeError(attribute)
        if sys.modules.get(name) is later:
            del sys.modules[name]
        return getattr(importlib.import_module(name), attribute)

    later.__getattr__ = real
    try:
        yield
    finally:
        if sys.modules.get(name) is later:
            del sys.modules[name]


def _can_import(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        return False
    return True
