"""The comparison figure shows the pixels that it says it shows."""
import cv2
import numpy as np
import pytest
import torch
from benchmark_fixture import save_network
from lmdb_fixture import photo_like

from deconas_plugin.benchmark.compare import Box, Panel, draw_comparison, score_texts
from deconas_plugin.benchmark.measure import Sample
from deconas_plugin.benchmark.methods import WeightsMethod
from deconas_plugin.benchmark.rows import Score
from deconas_plugin.data.bicubic import bicubic
from tools.compare import main

BOX = (20, 12, 30, 24)


@pytest.fixture
def images(tmp_path):
    """HR of odd size, and two results of the size cropped to multiples of 2."""
    hr = photo_like(81, 101, seed=1)
    cv2.imwrite(str(tmp_path / 'HR.png'), hr)
    for seed, name in enumerate(('first', 'second'), 2):
        cv2.imwrite(str(tmp_path / f'{name}.png'), photo_like(80, 100, seed))
    return tmp_path


def find(figure, image, factor):
    """Where the box of an image lies in a figure, magnified pixel by pixel: (left, top), None if nowhere."""
    x, y, width, height = BOX
    magnified = np.kron(image[y:y + height, x:x + width], np.ones((factor, factor, 1), np.uint8))
    _, _, (left, top), _ = cv2.minMaxLoc(cv2.matchTemplate(figure, magnified, cv2.TM_SQDIFF))
    place = figure[top:top + magnified.shape[0], left:left + magnified.shape[1]]
    return (left, top) if np.array_equal(place, magnified) else None


def draw(folder, *arguments):
    out = folder / 'figure.png'
    box = ','.join(map(str, BOX))
    assert main([str(folder / 'HR.png'), '--box', box, '--out', str(out), *map(str, arguments)]) == 0
    return cv2.imread(str(out))


def test_crops_are_those_of_the_images(images):
    figure = draw(images, images / 'first.png', f'Second={images / "second.png"}')
    hr = cv2.imread(str(images / 'HR.png'))[:80, :100]
    results = [cv2.imread(str(images / f'{name}.png')) for name in ('first', 'second')]
    expected = [hr, bicubic(bicubic(hr, 1 / 2), 2), *results]
    places = [find(figure, image, factor=12) for image in expected]
    assert None not in places
    (left, top), (right, _), (_, bottom), _ = places
    assert left < right and top < bottom
    assert places == [(left, top), (right, top), (left, bottom), (right, bottom)]


def test_given_lr_image_is_used(images):
    lr = photo_like(40, 50, seed=9)
    cv2.imwrite(str(images / 'LR.png'), lr)
    figure = draw(images, '--lr', images / 'LR.png')
    assert find(figure, bicubic(lr, 2), factor=18) is not None


def test_network_crop_equals_its_output(images):
    weights = save_network(images / 'net.pth')
    figure = draw(images, weights, '--device', 'cpu')
    hr = cv2.imread(str(images / 'HR.png'))[:80, :100]
    sr = WeightsMethod(weights, 2, torch.device('cpu')).upscale(Sample('', '', hr, bicubic(hr, 1 / 2)))
    assert find(figure, sr, factor=18) is not None


def test_whole_image_carries_the_box_at_its_place():
    white = np.full((100, 100, 3), 255, np.uint8)
    png = draw_comparison([Panel('HR', white)], Box(25, 50, 20, 20), 'title', 'caption')
    figure = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    red = np.argwhere((figure[..., 2].astype(int) - figure[..., 0]) > 150)
    (top, left), (bottom, right) = red.min(0), red.max(0)
    zoom = 540 / 100  # one row of crops: magnified to 540 pixels
    edge = 20  # where the whole image begins
    assert (left, top) == pytest.approx((edge + 25 * zoom, edge + 50 * zoom), abs=6)
    assert (right, bottom) == pytest.approx((edge + 45 * zoom, edge + 70 * zoom), abs=6)


def test_best_psnr_and_best_ssim_are_bold_each_for_itself():
    scores = [None, Score(30.001, 0.95), Score(31.0, 0.94), Score(31.004, 0.9)]
    bold = r'$\mathbf{%s}$'
    assert score_texts(scores) == ['PSNR [dB] / SSIM', f'30.00 / {bold % "0.9500"}', f'{bold % "31.00"} / 0.9400',
                                   f'{bold % "31.00"} / 0.9000']
    assert score_texts(scores[:2]) == ['PSNR [dB] / SSIM', '30.00 / 0.9500']


def test_text_stays_within_the_figure():
    image = photo_like(60, 20, seed=3)
    names = ['HR', 'a name that is longer than its column by far, for which the text becomes smaller', 'x']
    png = draw_comparison([Panel(name, image) for name in names], Box(2, 2, 6, 40), 'a title ' * 9, 'a caption ' * 9)
    figure = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert (figure[:, :8] == 255).all() and (figure[:, -8:] == 255).all() and (figure[-6:] == 255).all()


@pytest.mark.parametrize('arguments, message', [
    (['--box', '1,2,3'], 'expected x,y,width,height'),
    (['--box', '1,2,3,x'], 'expected x,y,width,height'),
    (['--box', '90,2,20,20'], '100x80'),
    (['--box', '1,2,0,5'], '100x80'),
    (['--box', '1,1,9,9', 'missing.pth'], 'missing.pth'),
    (['--box', '1,1,9,9', 'missing.png'], 'missing.png'),
    (['--box', '1,1,9,9', '{HR}'], 'expected 100x80 pixels'),
    (['--box', '1,1,9,9', '--lr', '{HR}'], 'expected 50x40'),
])
def test_errors_in_one_line(images, capsys, arguments, message):
    arguments = [text.format(HR=images / 'HR.png') for text in arguments]
    assert main([str(images / 'HR.png'), *arguments, '--out', str(images / 'figure.png')]) == 2
    error = capsys.readouterr().err
    assert error.startswith('error: ') and message in error and error.count('\n') == 1
    assert not (images / 'figure.png').exists()
