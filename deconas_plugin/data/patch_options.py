"""Options of DeCoNASPatchDataset, read and checked in one place."""
import difflib
from dataclasses import MISSING, dataclass, fields
from numbers import Real
from types import NoneType

from deconas_plugin.errors import OptionError
from deconas_plugin.files.paths import tool_command

# Read by BasicSR's pipeline and by the data loaders, not by the dataset.
PIPELINE_KEYS = ('name', 'type', 'batch_size_per_gpu', 'num_worker_per_gpu', 'dataset_enlarge_ratio', 'use_shuffle',
               'prefetch_mode', 'num_prefetch_queue', 'pin_memory', 'persistent_workers', 'final_share')

CHOICES = {
    'phase': ('train', 'val', 'test'),
    'cache': ('disk', 'memory', 'cuda', 'device', 'none'),
    'on_error': ('raise', 'skip'),
}


@dataclass(frozen=True)
class PatchOptions:
    """The options of a dataset section; see DeCoNASPatchDataset for their meaning.

    Raises:
        OptionError: an option is unknown, missing, or of a value that cannot be served.
    """
    phase: str
    scale: int
    dataroot_gt: str
    dataroot_lq: str
    io_backend: dict
    meta_info_file: str | None = None
    filename_tmpl: str = '{}'
    gt_size: int | None = None
    final_gt_size: int | None = None
    use_hflip: bool = True
    use_rot: bool = True
    use_channel_shuffle: bool = False
    color: str = 'rgb'
    mean: list | None = None
    std: list | None = None
    keys: str | list | None = None
    cache: str | None = None
    cache_dir: str | None = None
    on_error: str = 'raise'

    @classmethod
    def from_opt(cls, opt, place=None):
        """Read a dataset section of an option file.

        Args:
            opt (dict): The section, with ``phase`` and ``scale``.
            place (str | None): Of the section, for messages. Default: ``datasets.<phase>``.
        """
        place = place or f'datasets.{opt.get("phase", "train")}'
        known = {field.name: field for field in fields(cls)}
        for key in opt:
            if key not in known and key not in PIPELINE_KEYS:
                near = difflib.get_close_matches(str(key), [*known, *PIPELINE_KEYS], 1)
                raise OptionError(f'{place}.{key}: unknown option' + (f'; is it {near[0]}?' if near else ''))
        given = {key: opt[key] for key in known if opt.get(key) is not None}
        for key, field in known.items():
            if key not in given and field.default is MISSING:
                raise OptionError(f'{place}.{key}: missing')
        if given.get('cache') == 'device':
            # Only the training pipeline knows the device, and says cuda where that is meant.
            given['cache'] = 'disk'
        if 'cache' not in given:
            given['cache'] = 'disk' if given['phase'] == 'train' and _backend(given) == 'lmdb' else 'none'
        options = cls(**given)
        try:
            options._check()
        except OptionError as error:
            raise OptionError(f'{place}.{error}') from None
        return options

    @property
    def backend(self):
        """'lmdb' or 'disk'."""
        return _backend(vars(self))

    @property
    def largest_gt_size(self):
        """Side of the largest training patches in GT pixels."""
        return self.final_gt_size or self.gt_size

    @property
    def skip_broken(self):
        """Shall another image stand in for a broken one?"""
        return self.on_error == 'skip'

    def _check(self):
        for key, choices in CHOICES.items():
            self._require(getattr(self, key) in choices, key, ' | '.join(choices))
        self._require(_is_count(self.scale), 'scale', 'a whole number of at least 1')
        self._require(self.io_backend in ({'type': 'lmdb'}, {'type': 'disk'}), 'io_backend',
                      '{type: lmdb} or {type: disk}')
        for key in ('dataroot_gt', 'dataroot_lq', 'meta_info_file', 'filename_tmpl', 'cache_dir'):
            self._require(isinstance(getattr(self, key), (str, NoneType)), key, 'a text')
        for key in ('use_hflip', 'use_rot', 'use_channel_shuffle'):
            self._require(isinstance(getattr(self, key), bool), key, 'true or false')
        self._require(self.keys is None or _is_text_list(self.keys), 'keys',
                      "quoted names or ranges of names, e.g. '0001-0750',")
        self._require(self.color == 'rgb', 'color', 'rgb (PairedImageDataset serves others)')
        for key in ('mean', 'std'):
            self._require(getattr(self, key) is None or _is_colour(getattr(self, key)), key, 'three numbers (RGB)')
        self._require((self.mean is None) == (self.std is None), 'std', 'mean and std, or neither')
        self._require(self.std is None or 0 not in self.std, 'std', 'numbers other than 0, as it divides')
        if self.phase == 'train':
            self._require(_is_count(self.gt_size) and self.gt_size % self.scale == 0, 'gt_size',
                          f'a multiple of the scale, {self.scale}')
            final = self.final_gt_size
            self._require(final is None or _is_count(final) and final % self.scale == 0 and final >= self.gt_size,
                          'final_gt_size', f'a multiple of the scale, {self.scale}, from gt_size on')
        if self.backend == 'lmdb':
            self._require(self.meta_info_file is None, 'meta_info_file', 'none for an LMDB (use keys)')
            self._require(self.filename_tmpl == '{}', 'filename_tmpl', "'{}' for an LMDB")
        else:
            self._require(self.cache == 'none', 'cache',
                          f'none for folders ({tool_command("prepare-data")} makes LMDBs)')
            self._require(_is_template(self.filename_tmpl), 'filename_tmpl', "one '{}' for the name")
        self._require(self.cache != 'cuda' or self.phase == 'train', 'cache', 'disk | memory | none for whole images')
        self._require(self.cache_dir is None or self.cache == 'disk', 'cache_dir', 'it only along with cache: disk')

    def _require(self, holds, key, expected):
        if not holds:
            raise OptionError(f'{key}: expected {expected}, got {getattr(self, key)!r}')


def _backend(opt):
    return opt['io_backend'].get('type') if isinstance(opt['io_backend'], dict) else None


def _is_count(value):
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_colour(value):
    return isinstance(value, (list, tuple)) and len(value) == 3 and all(isinstance(part, Real) for part in value)


def _is_text_list(value):
    return isinstance(value, str) or isinstance(value, list) and value and all(isinstance(part, str) for part in value)


def _is_template(value):
    return value.count('{}') == 1 and not set('{}') & set(value.replace('{}', ''))
