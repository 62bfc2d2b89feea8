"""One page that explains what an experiment found: ``experiments/<name>/report.html``."""
import base64
import hashlib
import re
from datetime import datetime

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from deconas_plugin.errors import DeCoNASError
from deconas_plugin.files.atomic import save_text
from deconas_plugin.visual import report_sections as sections
from deconas_plugin.visual.experiment import Experiment
from deconas_plugin.visual.report_summary import status, tiles

OF_A_SEARCH = {
    'Search': sections.search_curves,
    'Bits': sections.bit_map,
    'Trade-off': sections.trade_offs,
    'Best ten': sections.best_ten,
}


def write_report(folder, pairs=None):
    """Write the report of an experiment, finished or running; what is not there yet is named in its place.

    Args:
        folder (str | Path): ``experiments/<name>``.
        pairs (list[tuple[str, Tensor, Tensor]] | None): Images for the sample crops, see
            :func:`deconas_plugin.visual.samples.validation_pairs`. Default: from the validation set of the options; a
            running search passes its own, because an LMDB cannot be opened twice in one process.

    Returns:
        Path: The file, ``report.html`` in the folder.

    Raises:
        DataError: There is no such folder.
        StorageError: The file cannot be written.
    """
    experiment = Experiment(folder)
    save_text(render_report(experiment, pairs), experiment.folder.report)
    return experiment.folder.report


def render_report(experiment, pairs=None):
    """str: The page, without any reference to a file or an address outside it.

    Args:
        experiment (Experiment): What to report on.
        pairs (list | None): See :func:`write_report`.
    """
    environment = Environment(loader=PackageLoader('deconas_plugin.visual'), autoescape=True, trim_blocks=True,
                              lstrip_blocks=True, undefined=StrictUndefined)
    environment.filters['breakable'] = _breakable
    script = environment.loader.get_source(environment, 'report.js')[0]
    has_rounds = experiment.is_search and not experiment.is_halving_alone
    builders = {
        'Result': sections.result,
        'Network': sections.drawing,
        **(OF_A_SEARCH if has_rounds else {}),
        **({'Halving': sections.halving} if experiment.halving else {}),
        **({} if experiment.is_halving_alone else {'Training': sections.training_curves}),
        'Samples': lambda experiment: sections.samples(experiment, pairs),
        **({'Time': sections.times} if has_rounds else {}),
        'Options': sections.options,
    }
    return environment.get_template('report.html').render(
        name=experiment.name,
        is_search=experiment.is_search,
        status=status(experiment),
        tiles=tiles(experiment),
        sections={title: _built(title, build, experiment) for title, build in builders.items()},
        script=Markup(script),
        script_hash=f'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}',
        written=datetime.now().strftime('%Y-%m-%d %H:%M'))


def _breakable(name):
    """Markup: A name that may be broken between its words, as in search_x2_quick, rather than inside one."""
    return Markup('<wbr>').join(escape(part) for part in re.split(r'(?<=[_.\-/])(?=[^_.\-/])', name))


def _built(title, build, experiment):
    """dict: ``id`` of a section, which names its template too, and ``content``, or ``missing`` with the reason."""
    section = {'id': title.lower().replace(' ', '_').replace('-', '_')}
    try:
        return {**section, 'content': build(experiment)}
    except DeCoNASError as error:
        return {**section, 'missing': str(error)}
