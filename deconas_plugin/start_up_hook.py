"""Lets any program of an environment import torchvision where torchvision's compiled operators do not load.

The hook is a file in site-packages that Python runs at every start. It hands the import of torchvision to compat, and
imports neither torch nor this package. Without the plugin it does nothing.
"""
import os
import site
import sysconfig
from pathlib import Path

NAME = 'deconas-torchvision.pth'
# The file of compat by itself: importing the package would have it wait for BasicSR as well. Once, although Python runs
# such files twice in virtual environments.
_CODE = """
import sys
from importlib import util
try:
    if 'deconas_compat' not in sys.modules:
        folder, = util.find_spec('deconas_plugin').submodule_search_locations
        spec = util.spec_from_file_location('deconas_compat', f'{folder}/compat.py')
        compat = util.module_from_spec(spec)
        spec.loader.exec_module(compat)
        compat.mend_torchvision()
        sys.modules['deconas_compat'] = compat
except (AttributeError, OSError, ValueError):
    pass  # no plugin here, or one that is older than this
"""


def update(folders=None):
    """Leave the hook in this environment where torchvision's operators do not load, and take it away where they do.

    Args:
        folders (Sequence[str | Path] | None): Where Python looks for such files; the first one that can be written to
            gets it. Default: those of this environment.

    Returns:
        Path | None: The hook that is there now.

    Raises:
        OSError: No folder can be written to.
    """
    if folders is None:
        folders = [sysconfig.get_path('purelib'), *([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])]
    if operators_load():
        for folder in folders:
            Path(folder, NAME).unlink(missing_ok=True)
        return None
    folder = next((folder for folder in folders if os.access(folder, os.W_OK)), folders[-1])
    # A line of such a file is run if it starts with "import".
    Path(folder, NAME).write_text(f'import sys; exec({_CODE!r}, {{}})\n', encoding='utf-8')
    return Path(folder, NAME)


def operators_load():
    """bool: Whether torchvision's compiled operators load beside this torch."""
    import torch
    import torchvision
    try:
        torchvision.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
    except RuntimeError:
        return False
    return True
