"""A row of the results table."""
from dataclasses import dataclass, field

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
