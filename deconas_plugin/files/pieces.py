"""Results of a long study, kept piece by piece so that it can be stopped and continued."""
import json
from pathlib import Path

from deconas_plugin.errors import DeCoNASError
from deconas_plugin.files.atomic import save_text
from deconas_plugin.files.option_files import flat_options
from deconas_plugin.files.paths import below_root


class Results:
    """One JSON file per finished piece in a folder.

    Args:
        folder (str | Path): It is made where it is missing.
        settings (dict): What all pieces depend on; a folder is continued with the same settings only.

    Raises:
        DeCoNASError: The folder holds pieces of other settings.
    """

    def __init__(self, folder, settings):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = json.loads(json.dumps(settings))
        path = self.folder / 'settings.json'
        if not path.exists():
            save_text(json.dumps(settings, indent=1), path)
        before = json.loads(path.read_text(encoding='utf-8'))
        # Paths as they are in the checkout: from another folder they are the same data.
        before, settings = ({key: below_root(value) for key, value in flat_options(section).items()}
                            for section in (before, settings))
        changed = sorted(key for key in before.keys() | settings.keys() if before.get(key) != settings.get(key))
        if changed:
            raise DeCoNASError(f'{self.folder}: it holds results with {changed[0]} {before.get(changed[0])!r}, not '
                               f'{settings.get(changed[0])!r}; give another --output, or the same settings')

    def get(self, name, compute):
        """The result of a piece: read, or computed and kept.

        Args:
            name (str): File name without ending.
            compute (callable): Returns plain values.
        """
        path = self._path(name)
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            save_text(json.dumps(compute()), path)
        return json.loads(path.read_text(encoding='utf-8'))

    def has(self, name):
        """bool: Whether a piece is there."""
        return self._path(name).exists()

    def _path(self, name):
        return self.folder / 'pieces' / f'{name}.json'
