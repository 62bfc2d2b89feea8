"""What a search adds to BasicSR's TensorBoard log."""
import numpy as np

from deconas_plugin.visual.heat_map import probability_image


def add_search_scalars(writer, values, current_iter):
    """Write ``search/<name>`` scalars.

    Args:
        writer (SummaryWriter | None): BasicSR's ``tb_logger``; None writes nothing.
        values (dict[str, float]): For example reward, psnr, baseline, advantage, log_prob, entropy.
        current_iter (int): Weight steps done.
    """
    if writer is None:
        return
    for name, value in values.items():
        writer.add_scalar(f'search/{name}', value, current_iter)


def add_bit_probabilities(writer, probabilities, current_iter):
    """Write the probability of every bit over time as an image: a row per bit, a column per controller round.

    Args:
        writer (SummaryWriter | None): BasicSR's ``tb_logger``; None writes nothing.
        probabilities (Sequence[Sequence[float]]): (rounds, bits), all rounds so far.
        current_iter (int): Weight steps done.
    """
    if writer is not None:
        writer.add_image('search/bit_probabilities', probability_image(probabilities), current_iter, dataformats='HWC')


def add_sample(writer, sample, current_iter):
    """Write a sample as an image: bicubic, the network and HR side by side.

    Args:
        writer (SummaryWriter | None): BasicSR's ``tb_logger``; None writes nothing.
        sample (Sample): See :func:`deconas_plugin.visual.samples.make_sample`.
        current_iter (int): Weight steps done.
    """
    if writer is not None:
        strip = np.concatenate([sample.images[version] for version in ('bicubic', 'network', 'HR')], axis=1)
        writer.add_image(f'samples/{sample.name}', strip[..., ::-1].copy(), current_iter, dataformats='HWC')
