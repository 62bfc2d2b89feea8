"""PSNR and SSIM of one image, by BasicSR."""
from basicsr.metrics import calculate_psnr, calculate_ssim

from deconas_plugin.benchmark.rows import Score


def score_image(sr, hr, scale):
    """Compare an image with the original, on the Y channel, without a border of `scale` pixels.

    Args:
        sr, hr (ndarray): (h, w, 3), in [0, 255], BGR, of one size; of 8 bits, or floating-point numbers unrounded.
        scale (int): The border, in pixels.

    Returns:
        Score: PSNR (infinite for equal images) and SSIM.
    """
    settings = {'crop_border': scale, 'test_y_channel': True}
    return Score(float(calculate_psnr(sr, hr, **settings)), float(calculate_ssim(sr, hr, **settings)))
