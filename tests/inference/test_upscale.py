"""Upscaling image files: what is kept of them, and what is left alone."""
import io
import os
import subprocess
import sys
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from deconas_plugin.archs.deconas_arch import DeCoNASNet
from deconas_plugin.data.images.photo import Photo
from deconas_plugin.data.images.png import PngWriter
from deconas_plugin.data.images.reader import read_photo
from deconas_plugin.data.images.writer import encode_photo
from deconas_plugin.errors import DataError, OptionError, WeightsError
from deconas_plugin.inference import tiling
from deconas_plugin.inference import upscaler as upscaler_module
from deconas_plugin.inference.jobs import plan_jobs
from deconas_plugin.inference.upscaler import Upscaler
from tools.upscale import main

ROOT = Path(__file__).resolve().parents[2]


def colours(height=20, width=30):
    """(H, W, 3), uint8: no two corners alike."""
    rows, columns = np.indices((height, width))
    return np.dstack([rows * 255 // height, columns * 255 // width, (rows + columns) % 256]).astype(np.uint8)


@pytest.fixture(scope='session')
def net():
    """A small network; whether it is trained does not matter here."""
    torch.manual_seed(0)
    return DeCoNASNet('110 110101', num_block=2, num_layer=2, num_feat=8).eval().requires_grad_(False)


@pytest.fixture(scope='session')
def weights(net, tmp_path_factory):
    path = tmp_path_factory.mktemp('weights') / 'net.pth'
    torch.save({'params': net.state_dict()}, path)
    return str(path)


def expected_pixels(net, pixels, largest=255):
    x = torch.from_numpy(pixels.astype(np.float32) / largest).permute(2, 0, 1)[None]
    return (net(x)[0].permute(1, 2, 0).clamp(0, 1) * largest).round().numpy()


def run(*args):
    return main([str(arg) for arg in args])


@pytest.mark.parametrize('name', ['a.png', 'a.jpg', 'a.jfif', 'a.bmp', 'a.tiff', 'a.webp', 'a.gif', 'a.avif', 'a.jp2',
                                  'a.ppm'])
def test_formats_come_out_as_the_network_upscales_them(tmp_path, net, weights, name):
    Image.fromarray(colours()).save(tmp_path / name)
    assert run(tmp_path / name, tmp_path / 'out', '--weights', weights) == 0
    result = np.asarray(Image.open(tmp_path / 'out' / 'a.png'))
    expected = expected_pixels(net, np.asarray(Image.open(tmp_path / name).convert('RGB')))
    assert np.abs(result - expected).max() <= 1


def test_16_bits_are_kept(tmp_path, net, weights):
    pixels = colours().astype(np.uint16) * 256 + 77
    cv2.imwrite(str(tmp_path / 'a.png'), pixels[..., ::-1])
    run(tmp_path / 'a.png', tmp_path / 'out.png', '--weights', weights)
    result = cv2.imread(str(tmp_path / 'out.png'), cv2.IMREAD_UNCHANGED)
    assert result.dtype == np.uint16
    assert np.abs(result[..., ::-1] - expected_pixels(net, pixels, 65535)).max() <= 3


@pytest.mark.parametrize('depth', [8, 16])
def test_alpha_is_kept(tmp_path, weights, depth):
    alpha = np.repeat(np.linspace(0, 255, 30).astype(np.uint8)[None], 20, axis=0)
    pixels = np.dstack([colours(), alpha]).astype(np.uint8 if depth == 8 else np.uint16) * (1 if depth == 8 else 257)
    cv2.imwrite(str(tmp_path / 'a.png'), pixels)
    run(tmp_path / 'a.png', tmp_path / 'out.png', '--weights', weights)
    result = cv2.imread(str(tmp_path / 'out.png'), cv2.IMREAD_UNCHANGED)
    assert result.shape == (40, 60, 4) and result.dtype == pixels.dtype
    assert np.abs(result[::2, ::2, 3].astype(int) - pixels[..., 3]).max() <= pixels.max() * 0.03
    assert (result[..., 3].min(), result[..., 3].max()) == (0, pixels.max())


@pytest.mark.parametrize('mode', ['L', 'I;16', '1'])
def test_grey_images_stay_grey(tmp_path, weights, mode):
    grey = colours()[..., 0]
    image = Image.fromarray(grey.astype(np.uint16) * 257) if mode == 'I;16' else Image.fromarray(grey).convert(mode)
    image.save(tmp_path / 'a.png')
    run(tmp_path / 'a.png', tmp_path / 'out.png', '--weights', weights)
    result = cv2.imread(str(tmp_path / 'out.png'), cv2.IMREAD_UNCHANGED)
    assert result.shape == (40, 60)
    assert result.dtype == (np.uint16 if mode == 'I;16' else np.uint8)


@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize('deep', [False, True])
def test_photos_are_turned_upright(tmp_path, orientation, deep):
    image = Image.fromarray(colours())
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(tmp_path / 'a.png', exif=exif)
    from PIL import ImageOps
    upright = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / 'a.png')))
    if deep:
        written = (tmp_path / 'a.png').read_bytes()
        start = written.find(b'eXIf') - 4
        chunk = written[start:start + 12 + int.from_bytes(written[start:start + 4], 'big')]
        png = cv2.imencode('.png', colours()[..., ::-1].astype(np.uint16) * 257)[1].tobytes()
        (tmp_path / 'a.png').write_bytes(png[:33] + chunk + png[33:])
    photo = read_photo(tmp_path / 'a.png')
    assert photo.rgb.dtype == (np.uint16 if deep else np.uint8)
    assert np.array_equal(photo.rgb // (257 if deep else 1), upright)


def test_colour_profiles_are_kept(tmp_path, weights):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
    Image.fromarray(colours()).save(tmp_path / 'a.jpg', icc_profile=profile)
    run(tmp_path / 'a.jpg', tmp_path / 'out.png', '--weights', weights)
    with Image.open(tmp_path / 'out.png') as image:
        image.load()
        assert image.info['icc_profile'] == profile


def test_palettes_and_cmyk(tmp_path):
    Image.fromarray(colours()).convert('CMYK').save(tmp_path / 'a.tif')
    assert np.abs(read_photo(tmp_path / 'a.tif').rgb.astype(int) - colours()).max() <= 2
    palette = Image.fromarray(colours()).quantize(16)
    palette.save(tmp_path / 'a.png', transparency=3)
    photo = read_photo(tmp_path / 'a.png')
    assert np.array_equal(photo.alpha == 0, np.asarray(palette) == 3)


def test_encoding_loses_nothing():
    for dtype in (np.uint8, np.uint16):
        pixels = colours().astype(dtype)
        png = encode_photo(Photo(pixels, pixels[..., 0]))
        decoded = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(decoded, np.dstack([pixels[..., ::-1], pixels[..., 0]]))


def make_folder(folder, *names):
    folder.mkdir()
    for name in names:
        Image.fromarray(colours()).save(folder / name)
    return folder


def test_a_broken_image_does_not_stop_the_others(tmp_path, weights, capsys):
    folder = make_folder(tmp_path / 'in', 'a.png', 'b.png', 'c.jpg')
    whole = (folder / 'b.png').read_bytes()
    (folder / 'b.png').write_bytes(whole[:len(whole) // 2])
    (folder / 'notes.txt').write_text('no image')
    assert run(folder, tmp_path / 'out', '--weights', weights) == 1
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == ['a.png', 'c.png']
    output = capsys.readouterr().out
    assert '2 upscaled, 0 skipped' in output
    assert output.count('left out') == 1 and 'b.png: not a readable image' in output


def test_what_is_done_is_skipped_unless_told_otherwise(tmp_path, weights, capsys):
    folder = make_folder(tmp_path / 'in', 'a.png', 'b.png')
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'a.png').write_bytes(b'mine')
    assert run(folder, tmp_path / 'out', '--weights', weights) == 0
    assert '1 upscaled, 1 skipped' in capsys.readouterr().out
    assert (tmp_path / 'out' / 'a.png').read_bytes() == b'mine'
    run(folder, tmp_path / 'out', '--weights', weights, '--overwrite')
    assert (tmp_path / 'out' / 'a.png').read_bytes() != b'mine'


def test_patterns_files_and_equal_stems(tmp_path):
    folder = make_folder(tmp_path / 'in', 'a.png', 'a.jpg', 'b.png')
    jobs, _ = plan_jobs([f'{folder}/*.png', str(folder / 'a.jpg'), str(folder / 'a.png')], 'out')
    assert [(job.source.name, job.target.as_posix()) for job in jobs] == [
        ('a.png', 'out/a.png.png'), ('b.png', 'out/b.png'), ('a.jpg', 'out/a.jpg.png')]


@pytest.mark.parametrize(('inputs', 'output', 'message'), [
    (['missing'], 'out', 'missing: found no images'),
    (['in/*.tif'], 'out', 'found no images'),
    (['in', 'in2'], 'out', 'would replace another image'),
    (['in'], 'in', 'would replace another image'),
    (['in/a.png'], 'in/a.png', 'would replace another image'),
    (['in', 'in2/a.png'], 'out.png', 'expected a folder for the results of 3 images'),
])
def test_plans_that_make_no_sense(tmp_path, monkeypatch, inputs, output, message):
    monkeypatch.chdir(tmp_path)
    make_folder(tmp_path / 'in', 'a.png', 'b.png')
    make_folder(tmp_path / 'in2', 'a.png')
    with pytest.raises(DataError, match=message):
        plan_jobs(inputs, output)


def test_self_ensemble_and_tiles_change_what_they_say(tmp_path, net, weights):
    pixels = colours(60, 90)
    plain = Upscaler(weights).upscale(Photo(pixels)).rgb.astype(int)
    assert np.abs(Upscaler(weights, tile=16).upscale(Photo(pixels)).rgb - plain).max() <= 1
    better = Upscaler(weights, self_ensemble=True).upscale(Photo(pixels)).rgb
    mirrored = Upscaler(weights, self_ensemble=True).upscale(Photo(pixels[:, ::-1])).rgb[:, ::-1]
    assert np.abs(better.astype(int) - mirrored).max() <= 1
    assert np.abs(better - plain).max() > 1


@pytest.mark.parametrize(('options', 'error', 'message'), [
    (dict(device='cuda:99'), OptionError, '--device: expected one of cpu'),
    (dict(device='cpu', precision='fp16'), OptionError, '--precision: fp16 needs a CUDA device'),
    (dict(weights='missing.pth'), WeightsError, 'missing.pth'),
])
def test_wrong_options(weights, options, error, message):
    with pytest.raises(error, match=message):
        Upscaler(**{**dict(weights=weights), **options})


def test_a_gpu_without_room_and_an_interruption(tmp_path, weights, monkeypatch, capsys):
    make_folder(tmp_path / 'in', 'a.png')
    for error, code, message in ((torch.cuda.OutOfMemoryError('full'), 2, 'error: --tile: not even tiles of 32 pixels'),
                                 (KeyboardInterrupt(), 130, 'interrupted; what is finished is kept')):
        def fail(*args, error=error, **keywords):
            raise error
        monkeypatch.setattr('deconas_plugin.inference.upscaler.upscale_tiled', fail)
        assert run(tmp_path / 'in', tmp_path / 'out', '--weights', weights) == code
        assert message in capsys.readouterr().err


def test_with_too_little_memory_tiles_get_smaller_and_it_is_said_once(weights, monkeypatch):
    pixels, lines, tiles = colours(90, 80), [], []
    expected = Upscaler(weights, backend='torch').upscale(Photo(pixels)).rgb
    run_tiles = upscaler_module.upscale_tiled

    def within_memory(backend, image, tile, **keywords):
        tiles.append(tile)
        if tile > 64:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:132] DefaultCPUAllocator: can't allocate memory")
        return run_tiles(backend, image, 32, **keywords)

    monkeypatch.setattr(upscaler_module, 'upscale_tiled', within_memory)
    upscaler = Upscaler(weights, backend='torch', tile=256, say=lines.append)
    assert np.abs(upscaler.upscale(Photo(pixels)).rgb.astype(int) - expected).max() <= 1
    upscaler.upscale(Photo(pixels))
    assert tiles == [256, 128, 64, 64]
    assert lines == ['too little memory for tiles of 256 pixels: smaller ones from here on, which take longer']


@pytest.mark.parametrize(('free', 'tile'), [(None, 256), (2**40, 256), (2**25, 64), (1, 32)])
def test_tiles_fit_into_the_memory_that_is_free(weights, free, tile, monkeypatch):
    monkeypatch.setattr(tiling, 'free_memory', lambda device: free)
    assert tiling.fitting_tile(Upscaler(weights, backend='torch').backend, 256) == tile


def peak_memory(*args):
    """int: Bytes that a Python process takes at most, which has to end well."""
    _, status, usage = os.wait4(subprocess.Popen([sys.executable, *args]).pid, 0)
    assert status == 0
    return usage.ru_maxrss * (1 if sys.platform == 'darwin' else 1024)


@pytest.fixture(scope='module')
def photograph(tmp_path_factory):
    """48 megapixels."""
    path = tmp_path_factory.mktemp('photograph') / 'photograph.jpg'
    Image.fromarray(colours(6000, 8000)).save(path)
    return path


def test_strips_are_the_rows_of_the_result(weights):
    photo = Photo(colours(90, 60), colours(90, 60)[..., 0])
    upscaler, strips = Upscaler(weights, backend='torch', tile=16), []
    whole = upscaler.upscale(photo)

    def take(top, strip):
        if top == 0:
            strips.clear()
        assert top == sum(len(one.rgb) for one in strips)
        strips.append(strip)

    upscaler.upscale_strips(photo, take)
    assert len(strips) > 1
    assert np.array_equal(np.concatenate([strip.rgb for strip in strips]), whole.rgb)
    assert np.array_equal(np.concatenate([strip.alpha for strip in strips]), whole.alpha)


@pytest.mark.parametrize('channels', [1, 2, 3, 4])
@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_a_png_written_in_strips_twice_is_the_image(channels, dtype):
    pixels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (11, 7, channels), dtype, True)
    file = io.BytesIO()
    writer = PngWriter(file, Photo(pixels), len(pixels))
    for top in (0, 4, 0, 4, 8):  # begun, given up, and begun again
        writer.write(top, pixels[top:top + 4])
    assert np.array_equal(imagecodecs.png_decode(file.getvalue()).reshape(pixels.shape), pixels)


def test_tiles_of_large_photographs_leave_room_for_them():
    backend = Upscaler('DeCoNASNet_x2', backend='torch').backend
    megapixel = 3e6 * 5  # bytes of the image and of its result
    tiles = [tiling.usual_tile(backend, count * megapixel) for count in (1, 12, 48, 400)]
    assert tiles == sorted(tiles, reverse=True) and 256 >= tiles[0] > 200 > tiles[2] > tiles[3] >= 32


def test_other_errors_are_not_taken_for_too_little_memory(weights, monkeypatch):
    def fail(*args, **keywords):
        raise RuntimeError('shapes do not match')
    monkeypatch.setattr(upscaler_module, 'upscale_tiled', fail)
    with pytest.raises(RuntimeError, match='shapes do not match'):
        Upscaler(weights, backend='torch').upscale(Photo(colours(20, 20)))


def test_errors_are_one_line_and_exit_code_2(tmp_path, weights, capsys):
    assert run(tmp_path / 'missing', tmp_path / 'out', '--weights', weights) == 2
    assert capsys.readouterr().err.count('\n') == 1


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, 'wait4'), reason='memory of another process is known on Unix only')
def test_48_megapixels_take_less_than_1_5_gb(tmp_path, weights, photograph):
    assert peak_memory(ROOT / 'tools' / 'upscale.py', photograph, tmp_path / 'out', '--weights', weights, '--backend',
                       'torch') < 1.5e9
    with Image.open(tmp_path / 'out' / 'photograph.png') as image:
        assert image.size == (16000, 12000)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, 'wait4'), reason='memory of another process is known on Unix only')
@pytest.mark.parametrize('weights_name', ['DeCoNASNet_x2', 'DeCoNASNet_x2_24G'])
@pytest.mark.parametrize('backend', ['torch', 'openvino', 'onnxruntime'])
def test_tiles_of_48_megapixels_take_less_than_1_5_gb(backend, weights_name, photograph):
    """The first ones of large networks, all of which take the same memory."""
    code = """
import sys
from deconas_plugin.data.images.reader import read_photo
from deconas_plugin.inference.upscaler import Upscaler

def on_tile(done, total):
    if done == 4:
        sys.exit()

Upscaler(sys.argv[1], backend=sys.argv[2]).upscale_strips(read_photo(sys.argv[3]), lambda top, strip: None, on_tile)
sys.exit('fewer than four tiles')
"""
    assert peak_memory('-c', code, weights_name, backend, photograph) < 1.5e9
