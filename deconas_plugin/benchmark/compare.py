"""Comparing methods on one image."""
from pathlib import Path

from deconas_plugin.benchmark.figure import Box, Panel, draw_comparison
from deconas_plugin.benchmark.measure import Sample
from deconas_plugin.benchmark.methods import Bicubic, split_name
from deconas_plugin.benchmark.network_methods import weights_method
from deconas_plugin.benchmark.scoring import score_image
from deconas_plugin.benchmark.sr_images import SRImage
from deconas_plugin.data.images.reader import SUFFIXES
from deconas_plugin.data.sub_images import read_pair
from deconas_plugin.errors import DataError
from deconas_plugin.utils.atomic import write_file


def compare(hr_path, box, methods, scale, lr_path=None):
    """Draw the comparison of bicubic and other methods with an original.

    Args:
        hr_path (str | Path): The original, cropped here to multiples of the scale.
        box (str): ``x,y,w,h`` in pixels of the original.
        methods (list[Method]): Besides bicubic, which always comes first.
        scale (int): 2, 3 or 4.
        lr_path (str | Path | None): The LR image. Default: made from the original by bicubic.

    Returns:
        bytes: A PNG.

    Raises:
        DataError: An image cannot be read or has another size than it should.
        OptionError: The box is none or lies outside.
    """
    hr, lr, _ = read_pair(hr_path, lr_path, scale, multiple=scale)
    sample = Sample('', Path(hr_path).stem, hr, lr)
    box = Box.parse(box, hr.shape)
    panels = [Panel('HR', hr)]
    for method in [Bicubic(scale), *methods]:
        sr = method.upscale(sample)
        panels.append(Panel(method.name, sr, score_image(sr, hr, scale)))
    return draw_comparison(panels, box, f'{sample.name}, x{scale}',
                           f'PSNR / SSIM of the whole image (Y, border {scale})')


def build_method(text, scale, device):
    """Method: A derived network or a super-resolved image, by the ending of ``PATH`` or ``NAME=PATH``."""
    name, path = split_name(text)
    if Path(path).suffix.lower() in SUFFIXES:
        return SRImage(name or Path(path).stem, path)
    return weights_method(path, scale, device, name)


def write_figure(png, out):
    """Write a PNG; returns its path.

    Raises:
        DataError: It cannot be written.
    """
    try:
        Path(out).parent.mkdir(parents=True, exist_ok=True)
        write_file(out, png)
    except OSError as error:
        raise DataError(f'--out: cannot write {out}: {error.strerror}') from error
    return Path(out)
