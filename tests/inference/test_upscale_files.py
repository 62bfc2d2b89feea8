"""Upscaling many files: where results go, what they are called, what is kept in them, and how far it is."""
import io
import os
import re
import struct
import sys
import zlib
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import tifffile
import torch
from image_files import exif, png, samples
from PIL import Image, PngImagePlugin
from tqdm import tqdm

from deconas_plugin.archs.deconas_arch import DeCoNASNet
from deconas_plugin.data.images.photo import Photo
from deconas_plugin.data.images.reader import read_photo
from deconas_plugin.errors import OptionError, WeightsError
from deconas_plugin.files.zoo import load_zoo
from deconas_plugin.inference.jobs import plan_jobs, run_jobs
from deconas_plugin.inference.upscaler import Upscaler
from deconas_plugin.machine.console import progress_bar
from tools.upscale import main


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp('weights') / 'net.pth'
    torch.save({'params': DeCoNASNet('1' * 9, num_block=1, num_layer=2, num_feat=4).state_dict()}, path)
    return str(path)


@pytest.fixture
def run(weights, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *args, net=weights: main([*map(str, args), '--weights', net, '--backend', 'torch'])


def make(*names, alpha=False):
    for name in names:
        os.makedirs(os.path.dirname(name) or '.', exist_ok=True)
        Image.fromarray(samples(4 if alpha else 3, 8)).save(name)


def files(folder='.'):
    return sorted(os.path.relpath(os.path.join(place, name), folder) for place, _, names in os.walk(folder)
                  for name in names)


def test_a_photo_alone_is_upscaled_beside_itself_by_the_best_network(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    make('photo.jpg')
    assert main(['photo.jpg', '--backend', 'torch']) == 0
    assert files() == ['photo.jpg', 'photo_x2.png']
    assert Image.open('photo_x2.png').size == (34, 24)
    assert capsys.readouterr().out.splitlines()[-2:] == ['1 upscaled, 0 skipped because they are there already',
                                                         'photo_x2.png']
    expected = Upscaler(load_zoo().best(2), backend='torch').upscale(read_photo('photo.jpg')).rgb
    assert np.array_equal(np.asarray(Image.open('photo_x2.png')), expected)


def test_the_best_network_of_a_scale():
    zoo = load_zoo()
    best = zoo.entries[zoo.best(2)]
    better = replace(best, name='better', metrics={name: [psnr + 1, ssim] for name, (psnr, ssim) in
                                                   best.metrics.items()})
    assert replace(zoo, entries={**zoo.entries, 'better': better}).best(2) == 'better'
    with pytest.raises(WeightsError, match='--scale: the model zoo has no network for x7, only for x2'):
        zoo.best(7)


def test_scale_has_to_be_that_of_the_weights(weights):
    with pytest.raises(OptionError, match='--scale: .*net.pth upscales by 2, not by 3; leave --scale out'):
        Upscaler(weights, scale=3)


def test_auto_precision_is_one_that_the_device_computes(weights, tmp_path, monkeypatch, run):
    make('a.png')
    assert run('a.png', '--precision', 'auto') == 0
    assert files() == ['a.png', 'a_x2.png']


@pytest.mark.parametrize(('args', 'results'), [
    (['in'], ['in_x2/a.png', 'in_x2/b.png']),
    (['in/'], ['in_x2/a.png', 'in_x2/b.png']),
    (['in', '--recursive'], ['in_x2/a.png', 'in_x2/b.png', 'in_x2/deep/er/a.png']),
    (['in', 'out', '--recursive', '--format', 'jpg'], ['out/a.jpg', 'out/b.jpg', 'out/deep/er/a.jpg']),
    (['in', '-o', 'out.v2/', '--suffix', '+'], ['out.v2/a+.png', 'out.v2/b+.png']),
    (['in/*.png', '--suffix', '_2'], ['in/a_2.png']),
    (['in/a.png', 'in/b.jpg', '-o', 'out'], ['out/a.png', 'out/b.png']),
    (['in/b.jpg', 'out.JPG'], ['out.JPG']),
    (['in/b.jpg', 'new/out.webp'], ['new/out.webp']),
    (['in', 'in/x2', '--recursive'], ['in/x2/a.png', 'in/x2/b.png', 'in/x2/deep/er/a.png']),
])
def test_where_results_go(run, args, results, capsys):
    make('in/a.png', 'in/b.jpg', 'in/deep/er/a.png')
    before = files()
    for _ in range(2):  # what the first run has left is no input of the second
        assert run(*args) == 0
        assert sorted(set(files()) - set(before)) == results
    assert f'0 upscaled, {len(results)} skipped' in capsys.readouterr().out
    kinds = {'.png': 'PNG', '.jpg': 'JPEG', '.webp': 'WEBP'}
    assert all(Image.open(name).format == kinds[os.path.splitext(name)[1].lower()] for name in results)


@pytest.mark.parametrize(('args', 'message'), [
    (['in/a.png', 'x.gif'], 'x.gif: cannot write .gif; expected a name that ends in .png .jpg .jpeg .webp, or a '),
    (['in/a.png', 'x.tif'], 'x.tif: cannot write .tif'),
    (['in/a.png', 'x.heic'], 'x.heic: cannot write .heic'),
    (['in', 'out.v2'], 'out.v2: cannot write .v2; .*one with a dot in its name ends in /'),
    (['in', 'out.jpg'], 'out.jpg: expected a folder for the results of 2 images'),
    (['in/a.png', 'x.png', '--suffix', '_x'], '--suffix and --format are for results in a folder'),
    (['in/a.png', 'x.png', '--format', 'jpg'], '--suffix and --format are for results in a folder'),
    (['in/a.png', 'file'], 'file: is there already and no folder'),
    (['in', '--suffix', ''], 'in/a.png: this result would replace another image'),
    (['empty'], 'empty: found no images; .*; --recursive looks into subfolders too'),
])
def test_outputs_that_cannot_be(run, args, message, capsys):
    make('in/a.png', 'in/b.jpg')
    os.mkdir('empty')
    open('file', 'w').close()
    before = files()
    assert run(*args) == 2
    error = capsys.readouterr().err
    assert re.search(f'error: .*{message}', error) and error.count('\n') == 1
    assert files() == before and not os.path.exists(args[1] if len(args) > 1 and args[1] != 'file' else 'x')


def test_stems_that_differ_in_the_case_of_letters_alone_are_equal_to_some_disks(run):
    make('in/a.png', 'in/A.jpg')
    jobs, _ = plan_jobs(['in'], 'out')
    assert [job.target.as_posix() for job in jobs] == ['out/A.jpg.png', 'out/a.png.png']


def test_what_is_passed_over_is_listed(run, capsys):
    make('in/a.png', 'in/deep/b.png')
    os.symlink('gone.png', 'in/b.png')
    os.mkfifo('in/e.png')  # who opens it waits for a writer
    for name in ('in/._a.png', 'in/c.HEIC', 'in/deep/d.cr2', 'in/notes.txt'):
        with open(name, 'w') as file:
            file.write('x')
    assert run('in', 'out', '--recursive') == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(': ')[1] for line in lines if line.startswith('left out')] == [
        'in/._a.png', 'in/b.png', 'in/c.HEIC', 'in/deep/d.cr2', 'in/e.png']
    assert files('out') == ['a.png', 'deep/b.png']
    assert run('in/b.png', 'in/a.png', '-o', 'out2') == 1
    for name in ('in/b.png', 'in/e.png'):
        assert run(name, 'x.png') == 1 and f'left out: {name}: ' in capsys.readouterr().out


def test_a_name_that_is_no_text(run, capfd):
    os.mkdir('in')
    for name, bits in ((b'caf\xe9.png', 16), (b'z.png', 8)):
        with open(os.path.join(b'in', name), 'wb') as file:
            file.write(png(samples(3, bits), bits, 2))
    assert run('in', 'out') == 0
    assert sorted(os.listdir(b'out')) == [b'caf\xe9.png', b'z.png']
    assert run(os.fsdecode(b'in/caf\xe9.png')) == 0
    with open(b'in/caf\xe9.png', 'wb') as file:
        file.write(b'broken')
    assert run('in', 'out', '--overwrite') == 1
    assert 'left out: in/caf\\udce9.png: not a readable image' in capfd.readouterr().out


def test_what_a_photo_says_of_itself_is_kept(run):
    text = PngImagePlugin.PngInfo()
    text.add_text('workflow', 'x' * 2**21, zip=True)
    Image.fromarray(samples(3, 8)).save('a.png', pnginfo=text, exif=b'Exif\0\0' + exif(6, Make='Maker'))
    assert run('a.png') == 0
    photo = read_photo('a_x2.png')
    assert photo.rgb.shape == (34, 24, 3)
    assert Image.open('a_x2.png').getexif()[0x010F] == 'Maker'
    colour = {b'gAMA': struct.pack('>I', 100000), b'cICP': bytes([9, 16, 0, 1])}
    profile = zlib.compress(b'\0' * 16 + b'RGB ' + b'\0' * 200)
    with open('b.png', 'wb') as file:
        file.write(png(samples(3, 16), 16, 2, [*colour.items(), (b'iCCP', b'p\0\0' + profile)]))
    assert run('b.png') == 0
    photo = read_photo('b_x2.png')
    assert photo.colour == colour and len(photo.profile) == 220 and photo.rgb.dtype == np.uint16


def test_transparency_and_jpeg(run, capsys):
    make('in/a.png', alpha=True)
    make('in/b.png')
    assert run('in', '--format', 'jpg') == 1
    assert files('in_x2') == ['b.jpg']
    assert 'left out: in/a.png: has transparency, which a JPEG cannot hold' in capsys.readouterr().out
    assert run('in', '--format', 'webp') == 0
    assert Image.open('in_x2/a.webp').mode == 'RGBA'


@pytest.mark.parametrize('kind', ['PNG', 'WEBP', 'premultiplied TIFF', 'palette'])
def test_what_cannot_be_seen_does_not_darken_the_rim(run, kind):
    rows, columns = np.mgrid[:64, :64]
    alpha = np.clip(24.5 - np.hypot(columns - 31.5, rows - 31.5), 0, 1)
    disc = np.where((alpha > 0)[..., None], (255, 160, 0), 0)
    picture = Image.fromarray(np.dstack([disc, alpha * 255]).round().astype(np.uint8))
    if kind == 'premultiplied TIFF':
        values = np.dstack([disc * alpha[..., None] / 255, alpha]) * 65535
        tifffile.imwrite('disc.tif', values.round().astype(np.uint16), photometric='rgb', extrasamples=['assocalpha'])
    elif kind == 'palette':
        hard = Image.fromarray(((alpha < .5) * 1).astype(np.uint8)).convert('P')
        hard.putpalette([255, 160, 0, 0, 0, 0])
        hard.save('disc.gif', transparency=1)
    else:
        picture.save(f'disc.{kind.lower()}', **({'lossless': True, 'exact': True} if kind == 'WEBP' else {}))
    assert run(*[name for name in files() if 'disc' in name], net='DeCoNASNet_x2_24G') == 0
    result = read_photo('disc_x2.png')
    largest = np.iinfo(result.rgb.dtype).max
    opacity = result.alpha[..., None] / largest
    on_white = (result.rgb / largest * opacity + 1 - opacity) * 255
    assert on_white[..., 1].min() >= 155
    assert result.alpha.min() == 0 and result.alpha.max() == largest


def test_max_pixels(run, capsys):
    make('a.png')
    assert run('a.png', '--max-pixels', '203') == 1
    assert 'left out: a.png: 17x12 pixels; expected at most 203 (--max-pixels)' in capsys.readouterr().out
    assert run('a.png', '--max-pixels', '204') == 0


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_bar_counts_images_and_never_runs_backwards(tmp_path, monkeypatch):
    """Whatever the tiles of an image turn out to be, and some images are broken, there already, or take two passes."""
    monkeypatch.setattr(sys, 'stderr', terminal := Terminal())
    names = ['a.png', 'b.png', 'c.png', 'd.png']
    monkeypatch.chdir(tmp_path)
    make(*names)
    (tmp_path / 'c.png').write_bytes(b'broken')
    (tmp_path / 'd_x2.png').write_bytes(b'there')

    class TwoPasses:
        scale = 2

        def upscale_strips(self, photo, take, on_tile):
            for done, total in ((1, 2), (2, 2), (2, 4), (3, 4), (4, 4)):
                on_tile(done, total)
            take(0, Photo(photo.rgb.repeat(2, 0).repeat(2, 1)))

    monkeypatch.setattr('deconas_plugin.machine.console.tqdm', partial(tqdm, mininterval=0))
    outcome = run_jobs(plan_jobs(names)[0], TwoPasses(), False, partial(progress_bar, unit='images'))
    assert (outcome.written, outcome.skipped, len(outcome.failed)) == (2, 1, 1)
    shown = re.findall(r'(\d+)%\|.*?\| (\d+) of 3 images, [\d:]+, ([\d:?]+) left', terminal.getvalue())
    percents, counts = ([int(values[i]) for values in shown] for i in (0, 1))
    assert percents == sorted(percents) and percents[0] == 0 and percents[-1] == 100 and len(set(percents)) > 4
    assert set(counts) == {0, 1, 2, 3} and counts == sorted(counts)

