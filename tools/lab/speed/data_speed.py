"""Patches per second: BasicSR's PairedImageDataset and ours on the same LMDBs of 480x480 sub-images."""
import tempfile
from contextlib import ExitStack
from pathlib import Path

from deconas_plugin.data.prepare import prepare_sub_images
from deconas_plugin.data.sample_photos import photo_folder
from deconas_plugin.doctor.workloads import load_patches
from deconas_plugin.machine.timing import OwnProcess, in_turns
from tools.lab.speed.results import Work

PHOTOS = ('astronaut.png', 'motorcycle_left.png', 'motorcycle_right.png')
GT_SIZE = 128
NUM_WORKER = 2
# The faster dataset needs more patches for a time that can be measured.
NUM_PATCHES = {'PairedImageDataset': 128, 'DeCoNASPatchDataset': 4096}


def data_speed(device, rounds):
    """Work: Seconds per patch of both datasets, with the same workers; on a GPU also from the cache in its memory."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        photos = [photo_folder() / name for name in PHOTOS]
        lmdbs = prepare_sub_images(photos, Path(folder), 2, size=480, step=20)
        jobs = {f'{dataset}, {NUM_WORKER} workers': {'type': dataset} for dataset in NUM_PATCHES}
        if device.type == 'cuda':
            jobs['DeCoNASPatchDataset, cache: cuda'] = {'type': 'DeCoNASPatchDataset', 'cache': 'cuda'}
        runs = {}
        for name, options in jobs.items():
            num_patches = NUM_PATCHES[options['type']]
            run = stack.enter_context(OwnProcess(load_patches, device, dataset_opt=_options(lmdbs, **options),
                                                 num_patches=num_patches, num_worker=NUM_WORKER))
            runs[name] = lambda run=run, num_patches=num_patches: run() / num_patches
        work = Work.of(f'One patch of {GT_SIZE}x{GT_SIZE} from a 480x480 sub-image', in_turns(runs, rounds))
    work.figures = {f'patches per second, {way.name}': 1 / way.seconds for way in work.ways}
    return work


def _options(lmdbs, **options):
    return {'name': 'speed', 'phase': 'train', 'scale': 2, 'dataroot_gt': str(lmdbs.hr), 'dataroot_lq': str(lmdbs.lr),
            'io_backend': {'type': 'lmdb'}, 'gt_size': GT_SIZE, 'use_hflip': True, 'use_rot': True, **options}
