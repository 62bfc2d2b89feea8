"""A run as BasicSR's training loop makes it, with the progress of a search around it; run in a process of its own."""
import sys

import deconas_plugin  # noqa: F401, BasicSR can be imported only after it

# isort: split
from basicsr.utils import MessageLogger, get_root_logger

from deconas_plugin.training.progress import RunProgress

log_file, total_iter, line_freq = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with RunProgress(total_iter, line_freq=line_freq) as progress:
    logger = get_root_logger(log_file=log_file)
    options = {'name': 'search_test', 'logger': {'print_freq': 5, 'use_tb_logger': False},
               'train': {'total_iter': total_iter}}
    message_logger = MessageLogger(options)
    logger.info('Training statistics.')
    for iteration in range(1, total_iter + 1):
        progress.update(iteration, num_images=16, loss=0.25)
        if iteration % 5 == 0:
            message_logger({'epoch': 0, 'iter': iteration, 'lrs': [1e-4], 'time': 0.1, 'data_time': 0.1, 'l_pix': 0.25})
        if iteration == 10:
            progress.update(iteration, best='1011 (30.50 dB)', psnr=31.5, reward=30.5, baseline=30.25, entropy=20.79)
            logger.info('Validation photos\n\t # psnr: 30.1\n')
            print('a line on stdout')
logger.info('After the search.')
