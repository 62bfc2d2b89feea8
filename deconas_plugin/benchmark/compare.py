"""Comparing methods on one place of an image, as in the paper (its Fig. 3)."""
import io
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from deconas_plugin.benchmark.measure import Sample
from deconas_plugin.benchmark.methods import Bicubic, split_name, weights_method
from deconas_plugin.benchmark.rows import Score, score_image
from deconas_plugin.benchmark.sr_images import SRImage
from deconas_plugin.data.images.reader import SUFFIXES
from deconas_plugin.data.prepare import read_pair
from deconas_plugin.errors import DataError, OptionError
from deconas_plugin.files.atomic import write_file

DPI = 300
CROP_SIZE = {1: 540, 2: 360}  # pixels of the longer side of a magnified crop, about, by the number of rows
LABEL_HEIGHT = 92  # two lines of text
LABEL_WIDTH = 240  # what PSNR and SSIM need in the font size
FONT_SIZE = 7.5
GAP = 20
BOX_COLOR = (40, 40, 230)  # BGR
FRAME_COLOR = (150, 150, 150)


@dataclass(frozen=True)
class Panel:
    """A method's result: `image` (h, w, 3), uint8, BGR, and its Score, None for the original."""
    name: str
    image: np.ndarray
    score: Score | None = None


@dataclass(frozen=True)
class Box:
    """Pixels of the original: left, top, width and height."""
    x: int
    y: int
    width: int
    height: int

    @classmethod
    def parse(cls, text, shape):
        """Read ``x,y,w,h``.

        Args:
            text (str): Four whole numbers.
            shape (tuple[int]): Height and width of the image that it must lie in.

        Raises:
            OptionError: It is no box, or leaves the image.
        """
        try:
            box = cls(*map(int, text.split(',')))
        except (ValueError, TypeError) as error:
            raise OptionError(f'--box: expected x,y,width,height in HR pixels, got {text!r}') from error
        height, width = shape[:2]
        if min(box.x, box.y) < 0 or min(box.width, box.height) < 1 or (
                box.x + box.width > width or box.y + box.height > height):
            raise OptionError(f'--box: expected a box within the {width}x{height} pixels of the image, got {text}')
        return box

    def crop(self, image):
        """ndarray: The box of an image."""
        return image[self.y:self.y + self.height, self.x:self.x + self.width]


def draw_comparison(panels, box, title, caption):
    """Draw the whole first image with the box, and the box of every image at its side, magnified pixel by pixel.

    Args:
        panels (list[Panel]): The original first, all of one size.
        box (Box): Which part.
        title, caption (str): The two lines below the whole image.

    Returns:
        bytes: A PNG.
    """
    num_rows = 1 if len(panels) <= 3 else 2
    num_columns = ceil(len(panels) / num_rows)
    factor = max(1, round(CROP_SIZE[num_rows] / max(box.width, box.height)))
    row_height = box.height * factor + LABEL_HEIGHT + GAP
    column_width = max(box.width * factor, LABEL_WIDTH)
    grid_height = num_rows * row_height - LABEL_HEIGHT - GAP
    whole = _with_box(panels[0].image, box, grid_height)
    whole_width = max(whole.shape[1], 2 * LABEL_WIDTH)
    grid_left = GAP + whole_width + 2 * GAP
    drawing = _Drawing(GAP + grid_height + LABEL_HEIGHT, grid_left + num_columns * (column_width + GAP))
    drawing.place(whole, GAP, GAP, whole_width, [title, caption])
    texts = score_texts([panel.score for panel in panels])
    for index, panel in enumerate(panels):
        row, column = divmod(index, num_columns)
        crop = box.crop(panel.image).repeat(factor, axis=0).repeat(factor, axis=1)
        drawing.place(crop, GAP + row * row_height, grid_left + column * (column_width + GAP), column_width,
                      [panel.name, texts[index]])
    return drawing.png()


def score_texts(scores):
    """Write PSNR and SSIM, the best of each in bold where several are compared.

    Args:
        scores (list[Score | None]): None for the original.

    Returns:
        list[str]: In matplotlib's markup.
    """
    columns = [[f'{score.psnr:.2f}' if score else '' for score in scores],
               [f'{score.ssim:.4f}' if score else '' for score in scores]]
    if sum(score is not None for score in scores) > 1:
        columns = [[rf'$\mathbf{{{text}}}$' if text == max(column, key=lambda text: float(text or '-inf')) else text
                    for text in column] for column in columns]
    return [' / '.join(texts) if texts[0] else 'PSNR [dB] / SSIM' for texts in zip(*columns, strict=True)]


def _with_box(image, box, height):
    """ndarray: The image at a height in pixels, with the box drawn around its pixels."""
    zoom = height / image.shape[0]
    width = round(image.shape[1] * zoom)
    whole = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC)
    left, top = round(box.x * zoom), round(box.y * zoom)
    right, bottom = round((box.x + box.width) * zoom), round((box.y + box.height) * zoom)
    # Just outside the box, but inside the image where the box touches its edge.
    corners = (max(left - 2, 1), max(top - 2, 1)), (min(right + 1, width - 2), min(bottom + 1, height - 2))
    return cv2.rectangle(whole, *corners, BOX_COLOR, 4)


class _Drawing:
    """Images placed pixel by pixel on white, with lines of text below."""

    def __init__(self, height, width):
        self.canvas = np.full((height, width, 3), 255, np.uint8)
        self.texts = []

    def place(self, image, top, left, room, lines):
        """Place an image in the middle of a column of `room` pixels, with its lines of text."""
        height, width = image.shape[:2]
        left += (room - width) // 2
        cv2.rectangle(self.canvas, (left - 1, top - 1), (left + width, top + height), FRAME_COLOR, 1)
        self.canvas[top:top + height, left:left + width] = image
        for index, text in enumerate(lines):
            self.texts.append((text, left + width / 2, top + height + 38 + index * 40, room))

    def png(self):
        height, width = self.canvas.shape[:2]
        figure = Figure((width / DPI, height / DPI), DPI)
        canvas = FigureCanvasAgg(figure)
        figure.figimage(self.canvas[:, :, ::-1], origin='upper')
        for text, x, y, room in self.texts:
            label = figure.text(x / width, 1 - y / height, text, ha='center', va='baseline', size=FONT_SIZE)
            needed = label.get_window_extent(canvas.get_renderer()).width
            label.set_size(FONT_SIZE * min(1, room / needed))
        file = io.BytesIO()
        figure.savefig(file, format='png')
        return file.getvalue()


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
        raise DataError(f'--output: cannot write {out}: {error.strerror}') from error
    return Path(out)
