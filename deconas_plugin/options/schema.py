"""What an option file may hold: every key with kind, default and meaning. options/README.md shows the same table.

Defaults stand here alone, but for those of the dataset and the model that BasicSR's own pipeline can run as well: it
fills in nothing, so that they stand there, and are taken over.
"""
import difflib
from dataclasses import dataclass, field

from deconas_plugin.data.patch_options import CHOICES, PatchOptions
from deconas_plugin.machine.device import PRECISIONS
from deconas_plugin.models.deconas_model import TRAIN_DEFAULTS, VAL_DEFAULTS
from deconas_plugin.search.halving import STARTS
from deconas_plugin.search.sampling import WEIGHT_SAMPLING

REQUIRED = object()
# Of a whole number whose key says nothing else: beyond any use, and small enough for whatever counts with it.
MOST = 10**9


@dataclass(frozen=True)
class Key:
    """One option.

    Attributes:
        kind (str): 'integer', 'number', 'boolean', 'text', 'name' (text that becomes part of file names), 'list' or
            'mapping'.
        meaning (str): What it does, with its unit.
        default: Its value where it is left out; REQUIRED where it may not be.
        minimum (float | None): Smallest value of a number.
        above (float | None): A number has to be larger than this.
        maximum (float | None): Largest value of a number.
        choices (tuple): The only values allowed.
        keys (dict[str, Key]): For a mapping of known keys; for a list, the keys of each of its mappings.
        each (dict[str, Key]): For a mapping of sections with names of the user's choice, the keys that they may have.
        nullable (bool): Whether ``~`` may be given: it means the default.
    """
    kind: str
    meaning: str
    default: object = None
    minimum: float = None
    above: float = None
    maximum: float = None
    choices: tuple = ()
    keys: dict = field(default_factory=dict)
    each: dict = field(default_factory=dict)

    @property
    def nullable(self):
        return self.default is not REQUIRED


def integer(meaning, default=REQUIRED, minimum=1, maximum=MOST):
    return Key('integer', meaning, default, minimum, maximum=maximum)


def number(meaning, default=REQUIRED, minimum=0):
    return Key('number', meaning, default, minimum)


def positive(meaning, default=REQUIRED):
    return Key('number', meaning, default, above=0)


def share(meaning, default=REQUIRED):
    return Key('number', meaning, default, above=0, maximum=1)


def boolean(meaning, default=False):
    return Key('boolean', meaning, default)


def text(meaning, default=REQUIRED, choices=()):
    return Key('text', meaning, default, choices=choices)


def name(meaning, default=REQUIRED):
    return Key('name', meaning, default)


def mapping(meaning, default=REQUIRED, keys=None, each=None):
    return Key('mapping', meaning, default, keys=keys or {}, each=each or {})


def nearest(name, known):
    """str: For the end of a message about an unknown name: the known one that it resembles, else all of them."""
    close = difflib.get_close_matches(str(name), [str(key) for key in known], n=1, cutoff=0.5)
    return f'; did you mean {close[0]}?' if close else f'; known: {", ".join(sorted(map(str, known)))}'


# Sections whose keys are the keywords of what their `type` names are checked against that constructor.
DATASET = {
    'name': name('Name in logs and result tables, another one for each set'),
    'type': text('Registered dataset'),
    'dataroot_gt': text('Folder or LMDB of the HR images'),
    'dataroot_lq': text('Folder or LMDB of the LR images'),
    'keys': Key('any', 'DeCoNASPatchDataset: images to take, by name or range such as 0001-0750', None),
    'meta_info_file': text('File that lists the images of a folder', None),
    'filename_tmpl': text('Name of the LR file for an HR file, without ending', PatchOptions.filename_tmpl),
    'io_backend': mapping('How images are stored', REQUIRED, {'type': text('lmdb or disk', choices=('lmdb', 'disk'))}),
    'cache': text('DeCoNASPatchDataset: where decoded images are kept; device: in the memory of the GPU that trains, '
                  'on disk where there is none', PatchOptions.cache, CHOICES['cache']),
    'cache_dir': text('DeCoNASPatchDataset: folder of the disk cache', None),
    'on_error': text('DeCoNASPatchDataset: what to do about a broken image', PatchOptions.on_error,
                     CHOICES['on_error']),
    'gt_size': integer('Side of a training patch, HR pixels; 64 LR pixels if left out', None),
    'final_gt_size': integer('DeCoNASPatchDataset: side of the patches in the last part of the training, HR pixels; '
                             'gt_size if left out', None),
    'final_share': share('That last part of the weight steps: 0.2 for the last fifth', 0.2),
    'use_hflip': boolean('Flip half of the patches', PatchOptions.use_hflip),
    'use_rot': boolean('Rotate patches by 0, 90, 180 or 270 degrees', PatchOptions.use_rot),
    'use_channel_shuffle': boolean('DeCoNASPatchDataset: put the colour channels of patches into a random order'),
    'color': text('y for luma only', None, ('y', 'rgb')),
    'mean': Key('list', 'Subtracted from every channel (the networks here do it themselves)', None),
    'std': Key('list', 'Every channel is divided by it', None),
    'use_shuffle': boolean('Read by older BasicSR only; training always shuffles', True),
    'num_worker_per_gpu': integer('Processes that load training data; 0: the training loads it itself', 0, 0, 512),
    'batch_size_per_gpu': integer('Patches per weight step and process', 16),
    'dataset_enlarge_ratio': integer('Repeats of the data in one epoch', 1, maximum=10**5),
    'prefetch_mode': text('Prefetcher for training data; cuda needs a GPU and pin_memory', None, ('cpu', 'cuda')),
    'num_prefetch_queue': integer('Batches that the cpu prefetcher holds', 1),
    'pin_memory': boolean('Page-locked host memory, for CUDA'),
    'persistent_workers': boolean('Keep the loading processes over epochs; needs num_worker_per_gpu'),
}

PATH = {
    'pretrain_network_g': text('Weights to start from or to test', None),
    'param_key_g': text('Which weights of that file', 'params', ('params', 'params_ema')),
    'strict_load_g': boolean('Whether every weight must fit', True),
    'pretrain_network_c': text('Controller weights to start from', None),
    'resume_state': text('Training state to continue from', None),
    'ignore_resume_networks': Key('list', 'Networks that keep their pretrained weights when resuming', None),
}

VAL = {
    'val_freq': integer('Weight steps between validations; only at the end if left out', None),
    'save_img': boolean('Save the upscaled images'),
    'suffix': name('Added to the names of the images that a test saves; the name of the test if left out', ''),
    'pbar': boolean('Show a progress bar'),
    'precision': text('Of validation and testing', VAL_DEFAULTS['precision'], PRECISIONS),
    'bicubic': boolean("Log the metrics of bicubic upscaling too; BasicSR's own models do not",
                       VAL_DEFAULTS['bicubic']),
    'metrics': mapping('Metrics by name; each has the type of a registered metric, its keywords and better: higher or '
                       'lower, which decides what is best: lower for NIQE, LPIPS and the like if left out', None),
}

TRAIN = {
    'total_iter': integer('Weight steps'),
    'max_minutes': positive('Wall-clock limit, minutes: the run saves and ends in good order, and --auto_resume goes '
                            'on; none if left out', None),
    'warmup_iter': integer('Weight steps over which the learning rate rises; -1 for none',
                           TRAIN_DEFAULTS['warmup_iter'], -1),
    'ema_decay': Key('number', 'Decay of the moving average of the weights, which is validated and shipped; 0 for none',
                     0, 0, maximum=0.999999),
    'ema_warmup': boolean('Whether that average spans at most the last tenth of the steps so far, so that it forgets '
                          'the initial weights', TRAIN_DEFAULTS['ema_warmup']),
    'optim_g': mapping('Optimizer of network_g: a type of torch.optim and its keywords'),
    'scheduler': mapping('Learning rate over time: a type of BasicSR and its keywords, or WarmupCosineLR: '
                         'a linear rise over warmup_iter, then one cosine to eta_min at total_iter'),
    'pixel_opt': mapping('Pixel loss: a registered loss and its keywords', None),
    'frequency_opt': mapping('Loss beside the pixel loss, such as FrequencyLoss, and its keywords', None),
    'frequency_share': share('Last part of the weight steps in which it counts: 0.2 for the last fifth',
                             TRAIN_DEFAULTS['frequency_share']),
    'perceptual_opt': mapping('Perceptual loss: a registered loss and its keywords', None),
    'precision': text('Of the training step; chosen for the device if left out', None, PRECISIONS),
    'channels_last': boolean('Memory layout of network and images', TRAIN_DEFAULTS['channels_last']),
    'compile': boolean('Compile the network: faster steps on a GPU, minutes before the first; not in a search',
                       TRAIN_DEFAULTS['compile']),
    'grad_clip': positive('Largest norm of the gradient; none if left out', None),
    'skip_loss_over': number('Skip steps whose loss exceeds this many times its running mean; if left out, only steps '
                             'whose loss or gradient is not finite', None, 1),
    'max_skips': integer('Steps skipped in a row after which training stops', TRAIN_DEFAULTS['max_skips']),
}

LOGGER = {
    'print_freq': integer('Weight steps between log lines'),
    'save_checkpoint_freq': integer('Weight steps between checkpoints whose networks stay'),
    'save_checkpoint_minutes': positive('Minutes between checkpoints in addition; none if left out', None),
    'keep_states': integer('Training states to keep, the newest, with the networks of additional checkpoints', 3),
    'use_tb_logger': boolean('Write TensorBoard files'),
    'wandb': mapping('Weights & Biases', None, {
        'project': text('Project; none for no logging', None),
        'resume_id': text('Run to continue', None)
    }),
}

SEARCH = {
    'warmup_iter': integer('Weight steps before the first controller round', REQUIRED, 0),
    'controller_freq': integer('Weight steps between controller rounds'),
    'controller_steps': integer('Controller steps of a round', maximum=10**6),
    'num_samples': integer('Genotypes that are scored in a controller step', 1, maximum=10**4),
    'shared_genotype': boolean('With several processes: all train one genotype in a weight step, not each its own'),
    'min_entropy': number('Warn when the entropy of the controller falls below it, nats per bit', 0.05),
    'strategy': mapping('Search strategy: reinforce, random, evolution or nsga2, and its keywords'),
    'weight_sampling': text('Genotypes of weight steps: drawn by the strategy, uniform until the end of the warm-up, '
                            'always uniform, uniform in complementary pairs, smallest, largest and uniform in turns, '
                            'or uniform after the largest alone in the first half of the warm-up', 'strategy',
                            WEIGHT_SAMPLING),
    'genotypes_per_step': integer('Genotypes that a weight step trains with the same patches', 1, maximum=100),
    'penalty': Key('list', 'What complexity costs; a list, the costs add up; [] for nothing', REQUIRED, keys={
        'type': text('Registered complexity measure: params, mult_adds, latency or paper'),
        'weight': number('Price in dB of the whole network; with a target, of an excess as large as the target'),
        'target': number('Cost that is free, in the unit of the measure (parameters, Mult-Adds @720p such as 75.0e9, '
                         'ms); none if left out', None),
    }),
    'latency_table': text('File of `deconas latency`; the measure latency needs it', None),
    'reward': mapping('What rewards are measured on', REQUIRED, {
        'dataset': mapping('Held-out images; gt_size is the size of a patch, HR pixels', REQUIRED, DATASET),
        'num_patches': integer('Patches of the whole reward set', maximum=10**6),
        'batch_size': integer('Patches of a controller step'),
        'test_y_channel': boolean('PSNR on luma instead of RGB'),
        'precision': text('Of scoring', 'float32', PRECISIONS),
    }),
}

DERIVE = {
    'num_samples': integer('Genotypes to score besides the greedy one', REQUIRED, 0, 10**5),
    'max_params': number('Most parameters', None),
    'max_mult_adds': number('Most Mult-Adds @720p', None),
    'max_latency': number('Largest latency, ms by search.latency_table', None),
    'front': Key('list', 'Measures against which the Pareto front of PSNR is taken: params, mult_adds, latency; '
                         'those of the strategy nsga2, or mult_adds, if left out', None),
    'halving': mapping('Train the best candidates alone, all on the same patches; the worse half leaves, the others '
                       'go on for twice as many steps, and so on. Off if left out', None, {
        'candidates': integer('Of those that are scored, how many train; without shared weights, random ones'),
        'steps': integer('Weight steps of each in the first rung'),
        'rungs': integer('Rungs; the last has two candidates or more'),
        'start': text('From the shared weights, or from initial ones (fresh)', 'shared', STARTS),
        'generations': integer('The first are the candidates; each one after it has half as many, children of the best '
                               'so far, and trains in as many rungs', 1),
    }),
    'inherit_weights': boolean('Whether training starts from the shared weights, or from those of the halving where '
                               'there was one', True),
    'train': mapping('The train section of the written training options', REQUIRED, TRAIN),
    'test_datasets': mapping('Datasets of the written test options; those of validation if left out', None,
                             each=DATASET),
}

COMMON = {
    'name': name('Name of the experiment and of its folder'),
    'model_type': text('Registered model'),
    'scale': Key('integer', 'Upscaling factor', REQUIRED, choices=(2, 3, 4)),
    'num_gpu': Key('any', 'Number of GPUs, of those that are there; 0 for the CPU; auto for all', REQUIRED),
    # Workers and processes add their numbers to it, and NumPy takes 32 bits.
    'manual_seed': integer('Seed of everything random; drawn if left out', None, 0, 4 * 10**9),
    'find_unused_parameters': boolean('For DistributedDataParallel'),
    'dist_params': mapping('For Slurm: backend and port', None),
    'datasets': mapping('Datasets by phase: train and val*, or test*', each=DATASET),
    'network_g': mapping('The network: a registered type and its keywords'),
    'plugins': Key('list', 'Python files or modules of your own to import first, with operations, measures, strategies '
                           'or networks that register themselves', None),
    'path': mapping('Files to load', REQUIRED, PATH),
}

TEST_OPTIONS = {**COMMON, 'val': mapping('Testing', None, VAL)}

TRAIN_OPTIONS = {
    **COMMON,
    'train': mapping('Training', REQUIRED, TRAIN),
    'val': mapping('Validation', None, VAL),
    'logger': mapping('Logging', REQUIRED, LOGGER),
}

SEARCH_OPTIONS = {
    **TRAIN_OPTIONS,
    'train': mapping('Training', REQUIRED, {
        **TRAIN, 'total_iter': integer('Weight steps; in a search, 0 for none with shared weights, so that it is '
                                       'derive.halving alone and needs no network_c, no rounds and no strategy',
                                       minimum=0)}),
    'sample_photos': text('Folder in which to prepare the sample photographs first', None),
    'network_c': mapping('The controller: a registered type and its keywords'),
    'search': mapping('The search', REQUIRED, SEARCH),
    'derive': mapping('The derivation', REQUIRED, DERIVE),
}

LEAGUE_OPTIONS = {
    'name': name('Name of the league and of its folder'),
    'scale': COMMON['scale'],
    'num_gpu': COMMON['num_gpu'],
    'plugins': COMMON['plugins'],
    'max_mult_adds': positive('Most Mult-Adds @720p of a member'),
    'budgets': Key('list', 'Smaller budgets of Mult-Adds @720p whose winners are named too', None),
    'members': Key('list', 'The networks', REQUIRED, keys={
        'name': name('Name in tables'),
        'network_g': COMMON['network_g'],
        'weights': text('File of weights to start from; anew if left out', None),
    }),
    'seeds': Key('list', 'Seeds of initial weights, order and patches; each member is trained with every one'),
    'learning_rates': Key('list', 'Peak learning rates, of which every member gets the best for it'),
    'rate_iter': integer('Weight steps of the trainings that choose the learning rate'),
    'datasets': mapping('Images', REQUIRED, {
        'train': mapping('To train on', REQUIRED, DATASET),
        'choose': mapping('To choose the learning rates by', REQUIRED, DATASET),
        'val': mapping('To rank by', REQUIRED, DATASET),
    }),
    'test_sets': Key('list', 'Test sets, which are reported and decide nothing, by name', None),
    'test_data': text('Folder of the test sets', 'datasets'),
    'train': mapping('Training of all members, without optim_g.lr', REQUIRED, TRAIN),
}
