"""Rows of the results table: scores measured by BasicSR's metrics, and what papers report."""
from dataclasses import dataclass, field
from importlib.resources import files

import yaml
from basicsr.metrics import calculate_psnr, calculate_ssim

MEASURED = 'measured'
REPORTED = 'reported'


@dataclass(frozen=True)
class Score:
    """Means over a test set, or the values of one image, on Y without a border of `scale` pixels.

    Attributes:
        psnr (float): dB.
        ssim (float): Structural similarity.
    """
    psnr: float
    ssim: float


@dataclass
class Row:
    """One model. What was not measured, or is not reported, is None, and sets without a result are left out.

    Attributes:
        model (str): Its name.
        source (str): :data:`MEASURED` or :data:`REPORTED`, for the whole row, so that no row mixes the two.
        params (int | None): Parameters.
        mult_adds (int | None): Mult-Adds @720p.
        scores (dict[str, Score]): By test set.
        seconds (float | None): Per image.
        peak_memory (int | None): Bytes.
        search_time (str | None): What finding the architecture took.
        images (dict[str, dict[str, Score]]): By test set and image name.
        network (str | None): What the paper's table calls its network, or None: it stands beside the rows of that.
        key (str | None): Tells what was measured, see :attr:`deconas_plugin.benchmark.methods.Method.key`.
        times (dict[str, list[float]]): Seconds of every image, by test set.
    """
    model: str
    source: str = MEASURED
    params: int = None
    mult_adds: int = None
    scores: dict = field(default_factory=dict)
    seconds: float = None
    peak_memory: int = None
    search_time: str = None
    images: dict = field(default_factory=dict)
    network: str = None
    key: str = None
    times: dict = field(default_factory=dict)


def reported_rows(scale, test_sets):
    """Read the rows that the paper reports.

    Args:
        scale (int): 2, 3 or 4.
        test_sets (list[str]): The table's test sets; results on others are left out.

    Returns:
        tuple: list[Row], and a note on them. The paper has a table for x2 alone: no rows for another scale.
    """
    table = yaml.safe_load(files('deconas_plugin.benchmark').joinpath('reported.yml').read_text(encoding='utf-8'))
    if scale != table['scale']:
        return [], f'The paper reports x{table["scale"]} only: no reported rows for x{scale}.'
    rows = [
        Row(row['model'],
            REPORTED,
            params=row.get('params'),
            mult_adds=row.get('mult_adds'),
            network=row['model'],
            scores={name: Score(*row['scores'][name]) for name in test_sets if name in row['scores']},
            search_time=row.get('search_time')) for row in table['rows']
    ]
    return rows, table['note']


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
