"""Small test sets of photo-like images below a folder, as ``deconas prepare-data`` writes them."""
from pathlib import Path

import cv2
import numpy as np
import torch
from basicsr.utils.matlab_functions import imresize
from lmdb_fixture import photo_like

from deconas_plugin.archs.deconas_arch import DeCoNASNet
from deconas_plugin.data.test_sets import TestPair, prepare_test_pairs

# Name -> sizes of its images, one odd.
SIZES = {'Set5': [(48, 40), (37, 51), (40, 44)], 'Set14': [(40, 40), (45, 36)]}


def make_test_sets(root, scale=2, sizes=None):
    """Write the sets; returns the root."""
    for name, shapes in (sizes or SIZES).items():
        originals = Path(root, 'originals', name)
        originals.mkdir(parents=True)
        pairs = []
        for index, (height, width) in enumerate(shapes):
            path = originals / f'img_{index + 1:03d}.png'
            cv2.imwrite(str(path), photo_like(height, width, seed=index + 10 * len(name)))
            pairs.append(TestPair(path.stem, path, None))
        prepare_test_pairs(pairs, Path(root, 'datasets', name), scale)
    return Path(root, 'datasets')


def save_network(path, upscale=2, num_feat=8, seed=0):
    """Write the weights of a small published network that gives images, not noise; returns the path."""
    torch.manual_seed(seed)
    net = DeCoNASNet(num_feat=num_feat, upscale=upscale)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({'params': net.state_dict()}, path)
    return path


def upscale_by_bicubic(path, scale):
    """Bicubic of an LR file by BasicSR's function, (scale * h, scale * w, 3), uint8."""
    lr = cv2.imread(str(path)).astype(np.float32) / 255
    return (imresize(lr, scale) * 255).round().clip(0, 255).astype(np.uint8)
