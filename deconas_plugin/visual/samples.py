"""Crops that show what a network makes of an image: LR, bicubic, the network, HR; and what TensorBoard gets to show."""
import base64
from dataclasses import dataclass

import cv2
import lmdb
import numpy as np
import torch
from basicsr.data import build_dataset
from basicsr.metrics import calculate_psnr
from basicsr.utils import tensor2img
from basicsr.utils.matlab_functions import imresize

from deconas_plugin.archs.deconas_supernet_arch import DeCoNASSuperNet
from deconas_plugin.archs.load import load_network
from deconas_plugin.errors import DataError, WeightsError
from deconas_plugin.files.states import load_state, newest_weights

CROP = 168  # HR pixels, divisible by 2, 3 and 4
MARGIN = 24  # LR pixels around a crop that the network sees too
# All that BasicSR's datasets raise where files, keys or images are not what the options say.
READ_ERRORS = (OSError, LookupError, TypeError, ValueError, AttributeError, AssertionError, lmdb.Error, cv2.error)


@dataclass(frozen=True)
class Sample:
    """A crop in several versions.

    Attributes:
        name (str): Of the image.
        images (dict[str, ndarray]): uint8 BGR, (H, W, 3), by version; all but 'LR' of the same size.
        psnrs (dict[str, float]): PSNR on the luma of the crop, in dB.
    """
    name: str
    images: dict
    psnrs: dict


def sample_network(experiment):
    """Load the network that shows best what an experiment has reached.

    Args:
        experiment (Experiment): Of a search or a training.

    Returns:
        tuple[Module, str]: In evaluation mode, and what it is.

    Raises:
        DataError: There are no weights yet.
        WeightsError: They are unreadable.
    """
    inherited = experiment.folder.derived().weights
    if inherited.is_file():
        return load_network(inherited), 'the derived network with the weights that the derivation left'
    total_iter = (experiment.options.get('train') or {}).get('total_iter', 0)
    weights = newest_weights(experiment.folder, 'net_g', total_iter)
    if weights is None:
        raise DataError('no weights in models/ yet')
    if experiment.network.get('type') != 'DeCoNASSuperNet':
        return load_network(weights), f'the network of {weights.name}'
    supernet = DeCoNASSuperNet(**{key: value for key, value in experiment.network.items() if key != 'type'})
    try:
        supernet.load_state_dict(load_state(weights)[0])
    except RuntimeError as error:
        raise WeightsError(f'{weights.name} does not belong to network_g of the options') from error
    net = supernet.derive(experiment.genotype).eval()
    return net, f'the best genotype of the last round with the weights of {weights.name}'


def validation_pairs(options, count=3):
    """Read image pairs of the first validation set, evenly spread.

    Args:
        options (dict): Of the experiment.
        count (int): How many.

    Returns:
        list[tuple[str, Tensor, Tensor]]: Name, LR (3, h, w) and HR (3, s*h, s*w) in [0, 1], RGB.

    Raises:
        DataError: There is none, or it cannot be read here.
    """
    for phase, dataset_opt in (options.get('datasets') or {}).items():
        if phase.startswith('val'):
            try:
                dataset = build_dataset({**dataset_opt, 'phase': 'val', 'scale': options['scale']})
                rows = np.unique(np.linspace(0, len(dataset) - 1, count).round().astype(int))
                return [_pair(dataset[int(row)]) for row in rows]
            except READ_ERRORS as error:
                raise DataError(f'datasets.{phase} cannot be read here: {" ".join(str(error).split())}') from error
    raise DataError('the options name no validation set')


def _pair(data):
    return data['gt_path'].rsplit('/', 1)[-1], data['lq'], data['gt']


@torch.no_grad()
def make_sample(net, name, lq, gt, scale):
    """Upscale the most detailed part of an image.

    Args:
        net (Module): (1, 3, h, w) -> (1, 3, scale * h, scale * w).
        name (str): Of the image.
        lq, gt (Tensor): LR (3, h, w) and HR (3, scale * h, scale * w) in [0, 1], RGB.
        scale (int): Upscaling factor.

    Returns:
        Sample: LR, bicubic, network and HR.
    """
    height, width = (min(CROP // scale, size) for size in lq.shape[1:])
    top, left = _most_detailed(gt, height * scale, width * scale, scale)
    # The network sees some surroundings, as it does in an image; what shows them is cut off.
    margin_top, margin_left = min(MARGIN, top), min(MARGIN, left)
    seen = lq[:, top - margin_top:top + height + MARGIN, left - margin_left:left + width + MARGIN]
    rows = slice(margin_top * scale, (margin_top + height) * scale)
    columns = slice(margin_left * scale, (margin_left + width) * scale)
    hr = tensor2img(gt[:, top * scale:(top + height) * scale, left * scale:(left + width) * scale])
    images = {
        'LR': tensor2img(lq[:, top:top + height, left:left + width]),
        'bicubic': tensor2img(imresize(seen, scale)[:, rows, columns]),
        'network': tensor2img(net(seen[None]).float()[0, :, rows, columns]),
        'HR': hr,
    }
    psnrs = {version: calculate_psnr(images[version], hr, crop_border=scale, test_y_channel=True)
             for version in ('bicubic', 'network')}
    return Sample(name, images, psnrs)


def _most_detailed(gt, height, width, scale):
    """tuple[int, int]: Upper left corner, in LR pixels, of the HR window with the strongest gradients."""
    luma = gt.mean(0, keepdim=True)[None]
    detail = torch.zeros_like(luma)
    detail[..., 1:, :] += (luma[..., 1:, :] - luma[..., :-1, :]).abs()
    detail[..., 1:] += (luma[..., 1:] - luma[..., :-1]).abs()
    windows = torch.nn.functional.avg_pool2d(detail, (height, width), stride=scale)[0, 0]
    return divmod(int(windows.argmax()), windows.shape[1])


def to_data_uri(image):
    """str: A BGR image as PNG within a page."""
    return 'data:image/png;base64,' + base64.b64encode(cv2.imencode('.png', image)[1]).decode('ascii')


def add_bit_probabilities(writer, probabilities, current_iter):
    """Write the probability of every bit over time as an image: a row per bit, a column per controller round.

    Args:
        writer (SummaryWriter): BasicSR's ``tb_logger``.
        probabilities (Sequence[Sequence[float]]): (rounds, bits), all rounds so far.
        current_iter (int): Weight steps done.
    """
    from deconas_plugin.visual.bits import probability_image  # and matplotlib, which only this needs
    writer.add_image('search/bit_probabilities', probability_image(probabilities), current_iter, dataformats='HWC')


def add_sample(writer, sample, current_iter):
    """Write a sample as an image: bicubic, the network and HR side by side.

    Args:
        writer (SummaryWriter): BasicSR's ``tb_logger``.
        sample (Sample): See :func:`deconas_plugin.visual.samples.make_sample`.
        current_iter (int): Weight steps done.
    """
    strip = np.concatenate([sample.images[version] for version in ('bicubic', 'network', 'HR')], axis=1)
    writer.add_image(f'samples/{sample.name}', strip[..., ::-1].copy(), current_iter, dataformats='HWC')
