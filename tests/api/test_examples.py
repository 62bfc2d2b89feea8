"""The notebook and the example run from top to bottom. ``.ci/run`` asks for them; they take a minute or two."""
import resource
import subprocess
import sys
from pathlib import Path

import pytest

nbclient = pytest.importorskip('nbclient')
pytest.importorskip('ipykernel')

EXAMPLES = Path(__file__).resolve().parents[2] / 'docs' / 'examples'


@pytest.fixture
def notebook():
    import nbformat
    return nbformat.read(EXAMPLES / 'search.ipynb', as_version=4)


def processor_seconds():
    """float: Of all processes that this one has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_the_notebook_is_kept_without_what_it_printed(notebook):
    assert all(cell.outputs == [] and cell.execution_count is None for cell in notebook.cells
               if cell.cell_type == 'code')


@pytest.mark.example
def test_the_notebook_runs_in_under_three_minutes(notebook, tmp_path):
    before = processor_seconds()
    nbclient.NotebookClient(notebook, timeout=600, resources={'metadata': {'path': str(tmp_path)}}).execute()
    # What counts is processor time, whatever else the machine does.
    assert processor_seconds() - before < 180
    outputs = [output for cell in notebook.cells if cell.cell_type == 'code' for output in cell.outputs]
    said = ''.join(output.get('text', '') or output['data'].get('text/plain', '') for output in outputs)
    assert said.count('best reward') == 3 and 'Derived: ' in said
    assert '1 of 1 images' in said  # the bar, which a notebook shows too
    drawn = [output for output in outputs if {'image/svg+xml', 'image/png'} & output.get('data', {}).keys()]
    assert len(drawn) == 5
    assert (tmp_path / 'experiments' / 'notebook_derived' / 'models' / 'net_g_latest.pth').is_file()


@pytest.mark.example
def test_a_pool_of_processes_scores_and_a_killed_search_goes_on(tmp_path):
    def run(trials):
        return subprocess.run([sys.executable, EXAMPLES / 'ask_and_tell.py', '--steps', '2', '--trials', str(trials)],
                              cwd=tmp_path, check=True, capture_output=True, text=True, timeout=300).stdout.splitlines()

    *lines, best = run(3)
    assert sorted(line.split()[0] for line in lines) == ['0', '1', '2'] and best.startswith('best: ')
    assert [line.split()[:2] for line in run(4)[:-1]] == [['3', 'done']]
