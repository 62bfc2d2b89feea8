"""What the shapes of a network's tensors do not tell, inside a state dict: bytes of a short YAML text."""
import torch
import yaml

from deconas_plugin.errors import GenotypeError, WeightsError
from deconas_plugin.search.genotype import Genotype


def encode_network(genotype, residual='none'):
    """Tensor: uint8, (n,), as text the genotype with its space, and the network's residual where it has one."""
    told = genotype.to_dict() if residual == 'none' else {**genotype.to_dict(), 'residual': residual}
    text = yaml.safe_dump(told, default_flow_style=True, width=float('inf'))
    return torch.tensor(list(text.encode('ascii')), dtype=torch.uint8)


def decode_genotype(code):
    """Genotype: The one that :func:`encode_network` wrote.

    Raises:
        WeightsError: The tensor holds none.
    """
    try:
        return Genotype.from_dict(_read(code))
    except (GenotypeError, ValueError, TypeError, yaml.YAMLError) as error:
        raise WeightsError('weights: genotype_code holds no genotype; they were not written by DeCoNASNet') from error


def decode_residual(code):
    """str: The residual of the network whose genotype :func:`encode_network` wrote."""
    try:
        return _read(code).get('residual', 'none')
    except (ValueError, AttributeError, yaml.YAMLError):
        return 'none'  # that it holds no genotype is for decode_genotype to say


def _read(code):
    return yaml.safe_load(bytes(code.flatten().tolist()).decode('ascii'))
