"""Options of runs that take seconds: a search, training and testing on synthetic images."""
from copy import deepcopy

import yaml
from lmdb_fixture import paired_lmdb

METRICS = {
    'psnr': {'type': 'calculate_psnr', 'crop_border': 2, 'test_y_channel': True},
    'ssim': {'type': 'calculate_ssim', 'crop_border': 2, 'test_y_channel': True},
}


def small_search(folder, name='small_search'):
    """Options of a tiny search on six synthetic images: four to train on, one for rewards, one for validation."""
    gt, lq = paired_lmdb(folder / 'data', count=12, size=48)

    def dataset(purpose, keys, **others):
        return {'name': purpose, 'type': 'DeCoNASPatchDataset', 'dataroot_gt': gt, 'dataroot_lq': lq,
                'io_backend': {'type': 'lmdb'}, 'cache': 'none', 'keys': keys, **others}

    return {
        'name': name,
        'model_type': 'DeCoNASSearchModel',
        'scale': 2,
        'num_gpu': 0,
        'manual_seed': 1,
        'datasets': {
            'train': dataset('train', '0001-0004', gt_size=24, use_hflip=True, use_rot=True, num_worker_per_gpu=0,
                             batch_size_per_gpu=2, dataset_enlarge_ratio=10),
            'val': dataset('val', '0006'),
        },
        'network_g': {'type': 'DeCoNASSuperNet', 'num_feat': 8, 'num_block': 2, 'num_layer': 2, 'upscale': 2},
        'network_c': {'type': 'DeCoNASController', 'num_hidden': 8, 'tanh_constant': 2.5},
        'path': {'pretrain_network_g': None, 'strict_load_g': True, 'resume_state': None},
        'train': train_section(8),
        'search': {
            'warmup_iter': 2,
            'controller_freq': 2,
            'controller_steps': 2,
            'num_samples': 3,
            'strategy': {'type': 'reinforce', 'lr': 1e-2, 'baseline': 'leave_one_out'},
            'penalty': [{'type': 'params', 'weight': 0.5}],
            'reward': {'num_patches': 6, 'batch_size': 4, 'dataset': dataset('reward', '0005', gt_size=24)},
        },
        'derive': {'num_samples': 4, 'train': train_section(4)},
        'val': {'val_freq': 4, 'save_img': False, 'bicubic': True,
                'metrics': deepcopy(METRICS)},
        'logger': {'print_freq': 2, 'save_checkpoint_freq': 4, 'use_tb_logger': True, 'wandb': None},
    }


def train_section(total_iter):
    return {
        'optim_g': {'type': 'Adam', 'lr': 1e-3, 'betas': [0.9, 0.99]},
        'scheduler': {'type': 'MultiStepLR', 'milestones': [1000], 'gamma': 0.5},
        'total_iter': total_iter,
        'warmup_iter': -1,
        'precision': 'float32',
        'pixel_opt': {'type': 'L1Loss', 'loss_weight': 1.0, 'reduction': 'mean'},
    }


def write_options(folder, opt, name='search.yml'):
    path = folder / name
    path.write_text(yaml.safe_dump(opt))
    return path
