"""The report in a real browser: it fits a phone and a wide screen, in light and dark, and logs no error."""
import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from experiment_fixture import add_images, add_inherited_weights, write_search

from deconas_plugin.archs.operations import OPERATIONS, Conv3x3
from deconas_plugin.space.genotype import SearchSpace
from deconas_plugin.visual.report import write_report

BROWSER = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome', 'chrome'))), None)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(BROWSER is None, reason='no Chromium is installed (Debian: apt-get install chromium)'),
]

# A frame can be as narrow as a phone, a browser's window cannot. It measures once the report is there.
FRAME = Path(__file__).with_name('report_frame.html').read_text()
LONG_NAME = 'my_own_operation_with_a_long_name_5x5'


@pytest.fixture(scope='module')
def reports(tmp_path_factory):
    """dict[str, Path]: A report of the paper's space with images, and one of a larger space with long names."""
    folder = tmp_path_factory.mktemp('experiments')
    full = write_search(folder / 'search_with_quite_a_long_name_of_its_own_x2', rounds=12)
    add_images(full)
    add_inherited_weights(full)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(OPERATIONS.module_dict, LONG_NAME, Conv3x3)
        large = write_search(folder / 'large', SearchSpace(4, 8, ('conv3x3', 'sep_conv3x3', LONG_NAME), True), rounds=3)
        return {'full': write_report(full), 'large': write_report(large)}


def measure(report, width, dark):
    """tuple[dict, list[str]]: What the page measures, and what it says on the console."""
    frame = report.with_name(f'frame_{width}.html')
    frame.write_text(FRAME.replace('WIDTH', str(width)).replace('ADDRESS', json.dumps(report.as_uri())))
    command = [BROWSER, '--headless', '--no-sandbox', '--disable-gpu', '--allow-file-access-from-files',
               '--enable-logging=stderr', f'--user-data-dir={report.parent / "profile"}',
               f'--blink-settings=preferredColorScheme={0 if dark else 1}', '--window-size=1500,2000', '--dump-dom']
    process = subprocess.run([*command, frame.as_uri()], capture_output=True, text=True, timeout=120)
    measured = re.search(r'<pre>(.*)</pre>', process.stdout, re.S)
    assert measured and measured[1], process.stderr
    return json.loads(html.unescape(measured[1])), re.findall(r'CONSOLE.*', process.stderr)


def brightness(colour):
    return sum(map(int, re.findall(r'\d+', colour)[:3])) / 3


@pytest.mark.parametrize('name', ['full', 'large'])
@pytest.mark.parametrize('width, dark', [(390, False), (390, True), (1400, False), (1400, True)])
def test_page_fits_its_window(reports, name, width, dark):
    found, console = measure(reports[name], width, dark)
    assert console == []
    assert found['sections'] == 10
    assert found['width'] <= width, found['wide']
    assert {key: found[key] for key in ('wide', 'cut', 'outside', 'overlap')} == {
        'wide': [], 'cut': [], 'outside': [], 'overlap': []}
    assert found['smallest'] > 7  # pixels
    assert brightness(found['background']) < 40 if dark else brightness(found['background']) > 230
    assert brightness(found['ink']) > 200 if dark else brightness(found['ink']) < 60


def test_measurement_finds_what_is_wrong(reports):
    broken = reports['full'].with_name('broken.html')
    text = reports['full'].read_text(encoding='utf-8')
    bad = ('<p style="width:900px">wide</p><script>alert(1)</script>'
           '<svg viewBox="0 0 9 9" width="90"><text y="5">one</text><text x="1" y="5">two</text></svg>')
    broken.write_text(text.replace('<main>', '<main>' + bad), encoding='utf-8')
    found, console = measure(broken, 390, False)
    assert found['width'] > 390 and found['wide'] and found['outside'] and found['overlap']
    assert any('Content Security Policy' in line for line in console)
