"""An option file and the data that it names, as lines of the doctor's table."""
from pathlib import Path

from deconas_plugin.data.pairs import list_pairs
from deconas_plugin.doctor.proofs import Check
from deconas_plugin.errors import DataError, DeCoNASError
from deconas_plugin.league.members import load_league
from deconas_plugin.options.check_data import PAIRED, check_roots, datasets_of, pair_options, paired_images
from deconas_plugin.options.defaults import with_defaults
from deconas_plugin.options.read import load_options
from deconas_plugin.runs.pipeline import checked_options

# Of each dataset, spread over it: decoding all of a large one would take minutes.
MOST_DECODED = 16
# What tells the task of a file; a league has a section train, too, and so has a search.
TASKS = {'league': 'members', 'search': 'search', 'train': 'train'}


def check_file(path):
    """Check an option file as a run does before it starts, and look into the databases and folders that it names.

    Args:
        path (str | Path): The file, of a search, a training, a test or a league.

    Returns:
        list[Check]: The first is the file's; then one for each dataset, as far as the file can be read.
    """
    own = Check('options', True, f'{Path(path).name}: a run may start')
    try:
        opt = load_options(path)
        task = next((task for task, key in TASKS.items() if key in opt), 'test')
        try:
            opt = load_league(path)[0] if task == 'league' else checked_options(task, path)
        except DataError as error:
            # Data is checked last: the options themselves hold.
            own, opt = Check('options', False, str(error)), with_defaults(opt, task)
    except DeCoNASError as error:
        return [Check('options', False, str(error)), Check('data', None, 'looked into once the options hold')]
    return [own, *(_check_dataset(name, dataset, opt['scale']) for name, dataset in datasets_of(opt, task).items())]


def _check_dataset(name, dataset, scale):
    """Check: Whether all images are there, and pair up; of some, whether they can be decoded."""
    try:
        check_roots(name, dataset, scale)
        if dataset['type'] not in PAIRED:
            return Check(name, None, f'{dataset["type"]}: only pairs of images are looked into')
        paired_images(name, dataset, scale)
        options = pair_options(name, dataset, scale)
        lq, gt, *_ = list_pairs(options)
        some = range(0, len(gt), -(-len(gt) // MOST_DECODED))
        for images in (lq, gt):
            if options.backend == 'lmdb':
                images.require_all()
            for index in some:
                images[index]
    except DeCoNASError as error:
        return Check(name, False, str(error))
    return Check(name, True, f'{len(gt)} pairs, all there and of sizes that fit x{scale}; {len(some)} of them decoded')
