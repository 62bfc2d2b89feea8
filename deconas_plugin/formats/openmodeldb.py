"""Pages of OpenModelDB (https://openmodeldb.info) for the model zoo, to be completed by whoever publishes them."""
import json
import re
from pathlib import Path

from deconas_plugin.archs.load import load_network
from deconas_plugin.errors import WeightsError
from deconas_plugin.files.atomic import save_text
from deconas_plugin.files.zoo import load_zoo


def write_stubs(folder):
    """Write a JSON file for each network of the model zoo, named as OpenModelDB names them.

    What only the publisher knows stays empty: addresses, example images.

    Args:
        folder (str | Path): Where; it is made.

    Returns:
        list[Path]: The files.

    Raises:
        WeightsError: The zoo is empty or a weight file is not the one it lists.
        StorageError: A file cannot be written.
    """
    zoo = load_zoo()
    if not zoo.entries:
        raise WeightsError('--openmodeldb: the model zoo is empty so far')
    Path(folder).mkdir(parents=True, exist_ok=True)
    written = []
    for entry in zoo.entries.values():
        name = re.sub('[^a-zA-Z0-9]+', '-', entry.name).strip('-')
        path = Path(folder, f'{entry.scale}x-{name}.json')
        save_text(json.dumps(stub(entry, zoo.weights(entry.name)), indent=4) + '\n', path)
        written.append(path)
    return written


def stub(entry, weights):
    """dict: The page of a network, with the fields of OpenModelDB's schema.

    Args:
        entry (ZooEntry): The network.
        weights (Path): Its weight file.
    """
    net = load_network(weights)
    metrics = ', '.join(f'{name} {psnr:.2f} dB / {ssim:.4f}' for name, (psnr, ssim) in entry.metrics.items())
    return {
        'name': entry.name,
        'author': 'deconas-basicsr',
        'license': entry.licence,
        'tags': ['photo', 'research'],
        'description': f'DeCoNASNet of genotype `{entry.genotype}`: {entry.params:,} parameters, '
                       f'{entry.mult_adds / 1e9:.1f} G Mult-Adds for a 1280x720 output. PSNR / SSIM on Y: {metrics}. '
                       f'{entry.note}'.strip(),
        'date': entry.date.isoformat(),
        'architecture': 'deconas',
        'size': [f'{entry.num_feat}nf'],
        'scale': entry.scale,
        'inputChannels': net.num_in_ch,
        'outputChannels': net.num_out_ch,
        'resources': [{
            'platform': 'pytorch',
            'type': weights.suffix[1:],
            'size': weights.stat().st_size,
            'sha256': entry.sha256,
            'urls': [],
        }],
        'trainingIterations': entry.iterations,
        'dataset': entry.data,
        'images': [],
    }
