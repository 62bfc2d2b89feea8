"""Registering in BasicSR when BasicSR is imported, and not before.

BasicSR takes seconds to import, and running a trained network needs none of it. So the plugin waits: whoever imports
BasicSR, before or after the plugin, finds everything registered.
"""
import importlib
import sys
from importlib.machinery import ModuleSpec

from deconas_plugin import compat

PACKAGE = 'deconas_plugin'
# What registers itself in a registry, or adapts BasicSR, when it is imported.
REGISTERING = ('archs.deconas_arch', 'archs.deconas_supernet_arch', 'archs.controller_arch', 'archs.compared',
               'data.basicsr_images', 'data.deconas_patch_dataset', 'models.deconas_model',
               'models.deconas_search_model', 'search.reinforce', 'search.strategy', 'search.evolution',
               'search.nsga2', 'training.losses')
# What runs trained networks: whole rooms, and modules of others. It imports neither BasicSR nor anything that does.
# Everything else is imported after BasicSR, so that modules that register themselves always come in the order above.
ROOMS_WITHOUT_BASICSR = ('commands', 'data.images', 'files', 'inference', 'machine', 'space')
WITHOUT_BASICSR = frozenset("""
    __main__ api api.images archs archs.attention archs.deconas_arch archs.forward archs.fused archs.initial_weights
    archs.load archs.network_options archs.operation_weights archs.operations compat data data.sample_photos errors
    formats formats.convert formats.ncnn formats.onnx registration search zoo
""".split())

_waiting = []


def register_arch(cls):
    """Class decorator: registers an architecture in BasicSR, at once or as soon as BasicSR is there."""
    if _waiting is None:
        from basicsr.utils.registry import ARCH_REGISTRY
        ARCH_REGISTRY.register(cls)
    else:
        _waiting.append(cls)
    return cls


def install():
    """Register now, if BasicSR has been imported already, else when it is."""
    # Whoever needs torchvision, spandrel for one, needs the work-around as BasicSR does.
    compat.mend_torchvision()
    if 'basicsr' in sys.modules:
        compat.apply()
        _register()
    elif not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def _needs_basicsr(name):
    package, _, module = name.partition('.')
    return package == PACKAGE and module not in WITHOUT_BASICSR and not any(
        f'{module}.'.startswith(f'{room}.') for room in ROOMS_WITHOUT_BASICSR)


def _register():
    global _waiting
    classes, _waiting = _waiting or [], None
    for cls in classes:
        register_arch(cls)
    for module in REGISTERING:
        importlib.import_module(f'{PACKAGE}.{module}')


class _Finder:
    """Finds nothing itself, but sees every import before the others do."""

    def find_spec(self, name, path=None, target=None):
        if name == 'basicsr':
            # With the work-arounds before it, and the registration after it.
            return compat.found_by_later(self, name, path, target, _run_basicsr)
        if 'basicsr' not in sys.modules and _needs_basicsr(name):
            importlib.import_module('basicsr')
            if name in sys.modules:  # it registers itself, or is needed by what does
                return ModuleSpec(name, _Imported(sys.modules[name]))
        return None


def _run_basicsr(run, module):
    compat.apply()
    with compat.scipy_stats_later():
        run(module)
    _register()


class _Imported:
    """Loads a module that has been imported meanwhile: that one."""

    def __init__(self, module):
        self.module, self.spec = module, module.__spec__
        # Python would take this one, where it finds one, and run the module a second time.
        module.__spec__ = None

    def create_module(self, spec):
        return self.module

    def exec_module(self, module):
        module.__spec__ = self.spec
