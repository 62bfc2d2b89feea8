"""Small paired data sets of photo-like images, as tests need them: LMDBs in BasicSR's layout, or folders."""
from pathlib import Path

import cv2
import lmdb
import numpy as np


def photo_like(height, width, seed):
    """Smooth BGR noise with some grain, (height, width, 3) uint8."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 8 + 2, width // 8 + 2, 3)).astype(np.float32)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(smooth + rng.normal(0, 4, smooth.shape), 0, 255).astype(np.uint8)


def image_pairs(count, size, scale):
    """key -> (LQ, GT) of ``count`` images; ``size`` is GT's (height, width) or one number for a square."""
    height, width = (size, size) if isinstance(size, int) else size
    pairs = {}
    for number in range(count):
        gt = photo_like(height, width, number)
        lq = cv2.resize(gt, (width // scale, height // scale), interpolation=cv2.INTER_AREA)
        pairs[f'{number // 2 + 1:04d}_s{number % 2 + 1:03d}'] = lq, gt
    return pairs


def encode_png(image):
    return cv2.imencode('.png', image, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()


def write_lmdb(path, images):
    """Write key -> BGR image as an LMDB like BasicSR's ``make_lmdb_from_imgs`` does."""
    with lmdb.open(str(path), map_size=sum(image.nbytes for image in images.values()) * 3 + 2**20) as env:
        with env.begin(write=True) as transaction:
            for key, image in images.items():
                transaction.put(key.encode(), encode_png(image))
    lines = [f'{key}.png ({image.shape[0]},{image.shape[1]},3) 1\n' for key, image in images.items()]
    (Path(path) / 'meta_info.txt').write_text(''.join(lines))


def put_entry(path, key, value):
    """Replace what an LMDB holds under ``key``; None deletes it. meta_info.txt stays as it is."""
    with lmdb.open(str(path), map_size=2**26) as env, env.begin(write=True) as transaction:
        if value is None:
            transaction.delete(key.encode())
        else:
            transaction.put(key.encode(), value)


def get_entry(path, key):
    with lmdb.open(str(path), readonly=True, lock=False) as env, env.begin() as transaction:
        return transaction.get(key.encode())


def paired_lmdb(folder, count=6, size=48, scale=2):
    """LMDBs of ``count`` pairs (keys 0001_s001, 0001_s002, 0002_s001, ...) under ``folder``: their paths (gt, lq)."""
    pairs = image_pairs(count, size, scale)
    gt, lq = Path(folder) / 'HR_sub.lmdb', Path(folder) / f'LR_X{scale}_sub.lmdb'
    Path(folder).mkdir(parents=True, exist_ok=True)
    write_lmdb(gt, {key: pair[1] for key, pair in pairs.items()})
    write_lmdb(lq, {key: pair[0] for key, pair in pairs.items()})
    return str(gt), str(lq)


def paired_folder(folder, count=6, size=48, scale=2, lq_suffix=''):
    """The same pairs as PNG files: paths of the folders (gt, lq)."""
    gt, lq = Path(folder) / 'HR', Path(folder) / f'LR_X{scale}'
    gt.mkdir(parents=True)
    lq.mkdir(parents=True)
    for key, (lq_image, gt_image) in image_pairs(count, size, scale).items():
        (gt / f'{key}.png').write_bytes(encode_png(gt_image))
        (lq / f'{key}{lq_suffix}.png').write_bytes(encode_png(lq_image))
    return str(gt), str(lq)


def dataset_options(gt, lq, **changes):
    """A dataset section as BasicSR hands it to a dataset: phase train, scale 2, patches of 16 GT pixels."""
    backend = 'lmdb' if gt.endswith('.lmdb') else 'disk'
    return {'name': 'test', 'type': 'DeCoNASPatchDataset', 'phase': 'train', 'scale': 2, 'gt_size': 16,
            'use_hflip': True, 'use_rot': True, 'dataroot_gt': gt, 'dataroot_lq': lq,
            'io_backend': {'type': backend}, **changes}
