"""From the public weight file of a network in the paper's table to a ``.pth`` of this project's arch."""
from pathlib import Path

import numpy as np
import torch

from deconas_plugin.archs.compared import COMPARED
from deconas_plugin.archs.load import check_state
from deconas_plugin.errors import OptionError, WeightsError
from deconas_plugin.files.states import save_state
from deconas_plugin.formats.published import carn, falsr, mat_files

READERS = {'SRCNN': mat_files.read_srcnn, 'VDSR': mat_files.read_vdsr, 'LapSRN': mat_files.read_lapsrn,
           'CARN': carn.read_carn, 'FALSR-A': falsr.read_falsr}


def convert_published(source, target, network, scale):
    """Convert a weight file. Nothing that it may hold is run.

    Args:
        source (str | Path): SRCNN, VDSR and LapSRN: a ``.mat``; CARN: the authors' ``.pth`` or an MXNet ``.params``;
            FALSR-A: a frozen graph, ``.pb``.
        target (str | Path): ``.pth`` or ``.safetensors``.
        network (str): A key of :data:`READERS`.
        scale (int): What the weights are for. The files of SRCNN do not say it, that of CARN may hold several.

    Returns:
        str: What was written, for the user.

    Raises:
        WeightsError: The source is missing, damaged, or of another network or scale; or the target has another ending.
        OptionError: No such network, or it was not published for the scale.
    """
    if network not in READERS:
        raise OptionError(f'--network: expected one of {", ".join(READERS)}, got {network!r}')
    if not Path(source).is_file():
        raise WeightsError(f'{source}: there is no such file')
    net = COMPARED[network](scale)
    arrays = READERS[network](Path(source), scale)
    state = {name: torch.from_numpy(np.array(array, np.float32, order='C')) for name, array in arrays.items()}
    check_state(net, state, source)
    save_state(state, target, {'architecture': type(net).__name__, 'scale': str(scale)})
    return f'{target}: {network} x{scale}, {sum(array.numel() for array in net.parameters()):,} parameters'
