"""A genotype's drawing shows exactly its connections, and every word of it can be read."""
import random
import re
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from helpers import texts_of
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgb
from matplotlib.patches import Circle

from deconas_plugin.archs.deconas_arch import DeCoNASNet
from deconas_plugin.errors import OptionError
from deconas_plugin.space.genotype import Genotype, SearchSpace
from deconas_plugin.visual.bits import genotype_strip
from deconas_plugin.visual.draw import draw_genotype
from deconas_plugin.visual.draw_block import short_name
from deconas_plugin.visual.theme import COLOURS, operation_colours, save, text_colour, to_inline_svg
from tools.draw import main

ROOT = Path(__file__).resolve().parents[2]
OTHER_OPERATIONS = ('identity', 'conv1x1', 'my_own_operation_with_a_long_name_5x5', 'conv3x3', 'dil_conv5x5')
SPACES = [
    SearchSpace(),
    SearchSpace(search_fusion=True),
    SearchSpace(num_layer=8),
    SearchSpace(3, 5, OTHER_OPERATIONS, True),
    SearchSpace(1, 1, ('conv3x3', )),
    SearchSpace(2, 2),
]
DEAD_LAYERS = '111 110100 110000000 000100000000 1000 0101'


def random_genotypes(count):
    rng = random.Random(0)
    return [SPACES[index % len(SPACES)].sample(rng) for index in range(count)]


def dots_of(figure, colour):
    return [patch for patch in figure.axes[0].patches
            if isinstance(patch, Circle) and to_hex(patch.get_facecolor()) == colour]


def text_boxes(figure):
    """list[tuple]: Text and its box in pixels."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    return [(text.get_text(), text.get_window_extent(renderer)) for text in figure.axes[0].texts]


def contrast(colour, background):
    """float: Contrast ratio of WCAG 2."""
    def luminance(c):
        return np.dot([v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055)**2.4 for v in to_rgb(c)],
                      [0.2126, 0.7152, 0.0722])
    light, dark = sorted((luminance(colour), luminance(background)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_random_genotypes_have_a_dot_for_every_bit():
    for genotype in random_genotypes(30):
        figure = draw_genotype(genotype)
        for index, (name, colour) in enumerate(operation_colours(genotype.space.operations).items()):
            read = sum(len(inputs[index]) for inputs in genotype.layer_inputs)
            assert len(dots_of(figure, colour)) == read, f'{name} of {genotype}'


@pytest.mark.parametrize('genotype', [*random_genotypes(12), Genotype.parse(DEAD_LAYERS), Genotype.parse('0' * 30)],
                         ids=str)
def test_no_text_is_cut_or_overlaps_another(genotype):
    figure = draw_genotype(genotype)
    width, height = figure.get_size_inches() * figure.dpi
    boxes = text_boxes(figure)
    for text, box in boxes:
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height, text
    for index, (text, box) in enumerate(boxes):
        for other, other_box in boxes[:index]:
            assert not box.overlaps(other_box), f'{text!r} overlaps {other!r}'


@pytest.mark.parametrize('genotype', random_genotypes(6), ids=str)
def test_names_of_operations_fit_into_their_boxes(genotype):
    figure = draw_genotype(genotype)
    names = {short_name(name) for name in genotype.space.operations}
    renderer = FigureCanvasAgg(figure).get_renderer()
    chips = [patch.get_window_extent(renderer) for patch in figure.axes[0].patches if hasattr(patch, 'get_boxstyle')]
    boxes = [text.get_window_extent(renderer) for text in figure.axes[0].texts
             if text.get_text() in names and text.get_ha() == 'center']
    assert len(boxes) >= len(names)
    for box in boxes:
        assert any(chip.x0 <= box.x0 and box.x1 <= chip.x1 and chip.y0 <= box.y0 and box.y1 <= chip.y1
                   for chip in chips)


def test_layers_that_reach_no_output_are_marked():
    texts = texts_of(draw_genotype(Genotype.parse(DEAD_LAYERS)))
    assert [text for text in texts if text.startswith('layer')] == [
        'layer 0', 'layer 1, unused', 'layer 2, unused', 'layer 3']
    assert 'does not reach the output, so it is not built' in texts
    assert not any('unused' in text for text in texts_of(draw_genotype(Genotype.parse('DeCoNASNet_x2'))))


def test_layers_without_operations_show_attention_alone():
    texts = texts_of(draw_genotype(Genotype.parse('111' + '0' * 27)))
    assert texts.count('CA') == 3 and texts.count('mean · CA') == 2  # one of them in the legend


@pytest.mark.parametrize('name, short', [
    ('conv3x3', '3×3'), ('sep_conv3x3', 'sep 3×3'), ('dil_conv5x5', 'dil 5×5'), ('identity', 'identity'),
    ('max_pool', 'max pool'), ('my_own_operation_with_a_long_name_5x5', 'my own operat…'),
])
def test_short_names(name, short):
    assert short_name(name) == short


@pytest.mark.parametrize('colour', COLOURS)
def test_colours_read_on_light_and_dark_and_carry_text(colour):
    assert contrast(colour, '#fefefe') > 2.2
    assert contrast(colour, '#161b20') > 3
    assert contrast(colour, text_colour(colour)) > 4.5


@pytest.mark.parametrize('suffix, magic', [('svg', b'<?xml'), ('png', b'\x89PNG'), ('pdf', b'%PDF')])
def test_saved_file_is_of_its_format_and_always_the_same(tmp_path, suffix, magic):
    genotype = Genotype.parse('DeCoNASNet_x2')
    files = [tmp_path / f'{name}.{suffix}' for name in 'ab']
    for file in files:
        save(draw_genotype(genotype), file)
    assert files[0].read_bytes().startswith(magic)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_svg_holds_its_text_as_text(tmp_path):
    save(draw_genotype(Genotype.parse('DeCoNASNet_x2')), tmp_path / 'a.svg')
    texts = [node.text for node in ElementTree.parse(tmp_path / 'a.svg').iter('{http://www.w3.org/2000/svg}text')]
    assert '111 110100 011000010 010011100001' in texts
    assert texts.count('sep 3×3') == 5  # four layers and the legend


def test_other_formats_are_refused(tmp_path):
    with pytest.raises(OptionError, match=r"\.svg, \.png, \.pdf, got .*'$"):
        save(draw_genotype(Genotype.parse('DeCoNASNet_x2')), tmp_path / 'a.gif')


def test_inline_svg_can_stand_beside_others():
    figure = draw_genotype(Genotype.parse('DeCoNASNet_x2'))
    svg = to_inline_svg(figure, 'first', 'a "quoted" <name>')
    ids = set(re.findall(r'\bid="([^"]+)"', svg))
    assert ids and all(name.startswith('first-') for name in ids)
    assert set(re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', svg)) <= {(a, b) for a in ids | {''} for b in ids | {''}}
    assert 'var(--ink)' in svg and '#1b1f23' not in svg and '<style' not in svg
    assert ElementTree.fromstring(svg).attrib['aria-label'] == 'a "quoted" <name>'


def test_tool_draws_bits_names_files_and_weights(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    net = DeCoNASNet('111 110100', num_feat=4, num_block=2, num_layer=2)
    torch.save({'params': net.state_dict()}, 'net.pth')
    assert main(['net.pth', '-o', 'weights.svg']) == 0
    assert main(['111', '110100', '--num_layer', '2', '--num_block', '2', '-o', 'bits.svg']) == 0
    assert Path('weights.svg').read_bytes() == Path('bits.svg').read_bytes()
    assert main(['DeCoNASNet_x2_24G', '-o', 'zoo.svg']) == 0
    assert Path('zoo.svg').read_bytes() != Path('bits.svg').read_bytes()
    assert main(['DeCoNASNet_x2']) == 0
    assert Path('genotype.svg').is_file()


@pytest.mark.parametrize('arguments, message', [
    (['1101'], 'error: genotype: expected 30 bits'),
    (['missing.yml'], 'error: genotype: cannot read missing.yml'),
    (['missing.pth'], 'error: missing.pth: there is no such file'),
    (['DeCoNASNet_x2', '-o', 'a.gif'], 'error: output: expected a name that ends in .svg'),
    (['DeCoNASNet_x2', '-o', 'no/a.svg'], 'error: output: cannot write no/a.svg: No such file or directory'),
])
def test_tool_names_a_mistake_in_one_line(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error and error.count('\n') == 1


@pytest.mark.parametrize('tool', ['draw', 'report'])
def test_help_answers_at_once(tool):
    started = time.monotonic()
    process = subprocess.run([sys.executable, f'tools/{tool}.py', '--help'], cwd=ROOT, capture_output=True, text=True,
                             timeout=60)
    assert time.monotonic() - started < 1
    assert process.returncode == 0 and 'examples:' in process.stdout


def test_every_block_is_drawn_where_each_has_its_own():
    genotype = SearchSpace(3, 2, share_blocks=False).sample(random.Random(0))
    texts = [text.get_text() for text in draw_genotype(genotype).axes[0].texts]
    assert [text for text in texts if text.startswith('(a)')] == ['(a) Block 0', '(a) Block 1', '(a) Block 2']
    strip = str(genotype_strip(genotype))
    assert strip.count('<rect') == len(genotype.bits)
