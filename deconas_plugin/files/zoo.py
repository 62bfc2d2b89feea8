"""The list of weights, and finding one by name."""
import datetime
import difflib
import hashlib
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import fmean

import yaml

from deconas_plugin.errors import WeightsError

FOLDER = Path(__file__).resolve().parents[1] / 'zoo'


@dataclass(frozen=True)
class ZooEntry:
    """One network of the zoo; ``zoo.yml`` explains the fields."""
    name: str
    file: str
    sha256: str
    scale: int
    genotype: str
    num_feat: int
    params: int
    mult_adds: int
    data: str
    iterations: int
    command: str
    date: datetime.date
    licence: str
    metrics: dict
    note: str

    @property
    def mean_psnr(self):
        """float: The mean over its test sets, in dB."""
        return fmean(psnr for psnr, _ in self.metrics.values())


@dataclass(frozen=True)
class Zoo:
    """All networks.

    Attributes:
        folder (Path): Where the weights are.
        entries (dict[str, ZooEntry]): By name.
        bicubic (dict[int, dict[str, list]]): PSNR and SSIM of bicubic upscaling, by scale and test set.
    """
    folder: Path
    entries: dict
    bicubic: dict

    def weights(self, name):
        """Path: The weight file of a network, after a check that it is the one that was measured.

        Raises:
            WeightsError: There is no such network, or its file is missing or another one.
        """
        if name not in self.entries:
            close = difflib.get_close_matches(str(name), self.entries, n=1)
            known = ', '.join(self.entries) or 'nothing so far'
            raise WeightsError(f'{name}: the model zoo has no such network (files end in .pth or .safetensors); '
                               f'{f"did you mean {close[0]}?" if close else f"it has {known}"}')
        entry, path = self.entries[name], self.folder / self.entries[name].file
        if not path.is_file():
            raise WeightsError(f'{path}: the weights of {name} are missing; install the plugin again')
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != entry.sha256:
            raise WeightsError(f'{path}: expected the SHA-256 {entry.sha256[:12]}... of {name}, got {found[:12]}...; '
                               'the file is damaged or was replaced, install the plugin again')
        return path

    @property
    def scales(self):
        """list[int]: Those that it has networks for."""
        return sorted({entry.scale for entry in self.entries.values()})

    def best(self, scale):
        """str: The name of the network with the highest PSNR in the mean of its test sets.

        Raises:
            WeightsError: There is none for this scale.
        """
        entries = [entry for entry in self.entries.values() if entry.scale == scale]
        if not entries:
            known = ', '.join(f'x{scale}' for scale in self.scales)
            raise WeightsError(f'--scale: the model zoo has no network for x{scale}, only for {known or "nothing"}; '
                               'name the weights')
        return max(entries, key=lambda entry: entry.mean_psnr).name


def load_zoo(folder=None):
    """Zoo: The networks that a folder's ``zoo.yml`` lists; by default those that come with the plugin.

    Raises:
        WeightsError: The list is broken.
    """
    path = Path(folder or FOLDER) / 'zoo.yml'
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
        entries = [ZooEntry(**entry) for entry in content['weights']]
        zoo = Zoo(path.parent, {entry.name: entry for entry in entries}, content['bicubic'])
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError) as error:
        raise WeightsError(f'{path}: not a list of weights: {" ".join(str(error).split())}') from error
    if len(zoo.entries) < len(entries):
        raise WeightsError(f'{path}: two networks have the same name')
    for entry in entries:
        for field in fields(ZooEntry):
            if not isinstance(getattr(entry, field.name), field.type):
                raise WeightsError(f'{path}: {entry.name}: {field.name}: expected {field.type.__name__}, got '
                                   f'{getattr(entry, field.name)!r}')
    return zoo
