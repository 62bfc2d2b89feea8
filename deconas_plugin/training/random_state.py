"""All random number generators of a process, as plain values that ``weights_only`` loads."""
import random

import numpy as np
import torch


def capture_random_state():
    """dict: The states of the generators of Python, NumPy, PyTorch and, where there is one, this process's GPU."""
    _, keys, position, has_gauss, gauss = np.random.get_state()
    return {
        'python': random.getstate(),
        'numpy': {'keys': torch.from_numpy(keys.astype(np.int64)), 'position': position, 'has_gauss': has_gauss,
                  'gauss': gauss},
        'torch': torch.get_rng_state(),
        'cuda': torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
    }


def restore_random_state(state):
    """Continue from :func:`capture_random_state`; a GPU's state is left out where the state or the process has none."""
    random.setstate(state['python'])
    numpy = state['numpy']
    keys = numpy['keys'].cpu().numpy().astype(np.uint32)
    np.random.set_state(('MT19937', keys, numpy['position'], numpy['has_gauss'], numpy['gauss']))
    torch.set_rng_state(state['torch'].cpu())
    if state['cuda'] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state['cuda'].cpu())
