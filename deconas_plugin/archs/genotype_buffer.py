"""The genotype inside a state dict: bytes of a short YAML text, so that tensors alone tell the network."""
import torch
import yaml

from deconas_plugin.errors import GenotypeError, WeightsError
from deconas_plugin.search.genotype import Genotype


def encode_genotype(genotype):
    """Tensor: uint8, (n,), the genotype with its space as text."""
    text = yaml.safe_dump(genotype.to_dict(), default_flow_style=True, width=float('inf'))
    return torch.tensor(list(text.encode('ascii')), dtype=torch.uint8)


def decode_genotype(code):
    """Genotype: The one that :func:`encode_genotype` wrote.

    Raises:
        WeightsError: The tensor holds none.
    """
    try:
        return Genotype.from_dict(yaml.safe_load(bytes(code.flatten().tolist()).decode('ascii')))
    except (GenotypeError, ValueError, TypeError, yaml.YAMLError) as error:
        raise WeightsError('weights: genotype_code holds no genotype; they were not written by DeCoNASNet') from error
