"""Pictures in BasicSR's TensorBoard log; scalars come from its MessageLogger."""
import numpy as np

from deconas_plugin.visual.heat_map import probability_image


def add_bit_probabilities(writer, probabilities, current_iter):
    """Write the probability of every bit over time as an image: a row per bit, a column per controller round.

    Args:
        writer (SummaryWriter): BasicSR's ``tb_logger``.
        probabilities (Sequence[Sequence[float]]): (rounds, bits), all rounds so far.
        current_iter (int): Weight steps done.
    """
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
