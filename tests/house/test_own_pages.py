"""The pages on measures and strategies of one's own: what they print is named in options and searched with."""
import json
import re
from pathlib import Path

import pytest
import yaml
from run_fixture import differences, results, run, search_options

from deconas_plugin.space.genotype import Genotype

DOCS = Path(__file__).resolve().parents[2] / 'docs'


def options_of_page(page, folder):
    """Options of a tiny search, changed as the page says, with the page's Python in the file that it names."""
    text = (DOCS / page).read_text(encoding='utf-8')
    code, = re.findall(r'^```python\n(.*?)^```$', text, re.M | re.S)
    changes = yaml.safe_load(re.search(r'^```yaml\n(.*?)^```$', text, re.M | re.S)[1])
    name, = changes['plugins']
    (folder / name).write_text(code)
    options = search_options(folder, plugins=[str(folder / name)])
    options['search'].update(changes['search'])
    return options


def history(folder):
    lines = (folder / 'experiments' / 'tiny' / 'search_history.jsonl').read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_a_measure_of_the_page_has_its_price(tmp_path):
    run('search', tmp_path, options_of_page('own_measure.md', tmp_path))
    rows = history(tmp_path)
    assert len(rows) == 12
    for row in rows:
        selected = row['genotype'].count('1')
        assert row['penalties']['connections'] == pytest.approx(0.5 * max(0, selected / 3 - 1))
        assert row['reward'] == pytest.approx(row['psnr'] - sum(row['penalties'].values()))
    assert any(row['penalties']['connections'] for row in rows)


def test_a_strategy_of_the_page_searches_and_resumes(tmp_path):
    options = options_of_page('own_strategy.md', tmp_path)
    whole = tmp_path / 'whole'
    run('search', whole, options)
    rows = history(whole)
    scored = {}
    for start in range(0, len(rows), 2):  # two genotypes in a step
        pair = rows[start:start + 2]
        bits = [Genotype.parse(row['genotype'], 1, 2).bits for row in pair]
        if scored:
            best = max(scored, key=scored.get)
            assert [sum(a != b for a, b in zip(one, best, strict=True)) for one in bits] == [2, 2]
        scored.update(zip(bits, (row['reward'] for row in pair), strict=True))

    broken = tmp_path / 'broken'
    run('search', broken, {**options, 'train': {**options['train'], 'total_iter': 8}})
    run('search', broken, options, '--auto_resume')
    assert differences(results(whole), results(broken)) == []
