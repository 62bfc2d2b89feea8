"""The only place that works around BasicSR 1.4.2 on today's torch, torchvision and Python.

Every helper looks for the missing feature itself, never for a version number, does nothing where the feature is
there, and may run again. ``apply`` has to run before the first ``import basicsr`` of the process.
"""
import importlib
import sys

import torch


def apply() -> None:
    """Make ``import basicsr`` work.

    Raises:
        ImportError: ``distutils`` is missing and setuptools, which supplies it, is not installed.
    """
    _require_distutils()
    import_torchvision()
    _alias_functional_tensor()


def _require_distutils() -> None:
    # basicsr.archs.arch_util imports distutils.version, which Python 3.12 dropped. setuptools brings its own copy and
    # puts it in place at start-up by a .pth file or, where that file is switched off, when setuptools is imported.
    if _can_import('distutils.version'):
        return
    if _can_import('setuptools') and _can_import('distutils.version'):
        return
    raise ImportError('BasicSR needs distutils, which setuptools supplies on this Python: pip install setuptools')


def import_torchvision() -> None:
    """Import torchvision, whether its compiled operators load or not."""
    # torchvision's compiled operators do not load beside a torch they were not built for, such as a CPU-only torch
    # with the ordinary torchvision. torchvision describes nms and qnms to torch all the same, so that its import ends
    # in "operator torchvision::nms does not exist". BasicSR calls neither: their bare schemas are enough. Only this
    # import tells whether they load; defining a schema before it would clash with torchvision's own.
    try:
        importlib.import_module('torchvision')
    except RuntimeError:
        missing = [name for name in ('nms', 'qnms') if not hasattr(torch.ops.torchvision, name)]
        if not missing:
            raise
        for name in missing:
            torch.library.define(f'torchvision::{name}', '(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')
        importlib.import_module('torchvision')


def _alias_functional_tensor() -> None:
    # basicsr.data.degradations imports rgb_to_grayscale from a module that torchvision 0.17 removed. The public module
    # beside it has the same function.
    removed = 'torchvision.transforms.functional_tensor'
    if not _can_import(removed):
        sys.modules[removed] = importlib.import_module('torchvision.transforms.functional')


def _can_import(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        return False
    return True
