"""From one weight format to another."""
import json
from pathlib import Path

import torch

from deconas_plugin.archs.load import load_network
from deconas_plugin.errors import WeightsError
from deconas_plugin.files.states import save_state
from deconas_plugin.formats.ncnn import export_ncnn
from deconas_plugin.formats.onnx import export_onnx

DTYPES = {'float32': torch.float32, 'fp16': torch.float16, 'bf16': torch.bfloat16}


def convert(source, target, fused=False, precision='float32', size=None):
    """Write the weights of a network in another format; from and to float32 without any loss.

    Args:
        source (str | Path): Weight file or name in the model zoo.
        target (str | Path): ``.pth``, ``.safetensors``, ``.onnx``, or ``.param`` for ncnn.
        fused (bool): Write the fused network, which is for inference only; an ``.onnx`` or ``.param`` always holds it,
            and fused weights stay fused.
        precision (str): Of the numbers in the file: 'float32', 'fp16' or 'bf16' (not in an ``.onnx`` or ``.param``).
        size (tuple[int] | None): Width and height of the only images that an ``.onnx`` takes, one at a time.
            Default: any.

    Returns:
        str: What was written, for the user.

    Raises:
        WeightsError: The source is unreadable or not a DeCoNASNet, a number does not fit the precision, or the target
            cannot be written.
    """
    target = Path(target)
    if size and target.suffix != '.onnx':
        raise WeightsError(f'{target}: --lr-size is for .onnx alone')
    net = load_network(source)
    net = net.fuse() if fused or target.suffix in ('.onnx', '.param') else net
    if target.suffix == '.onnx':
        return export_onnx(net, target, precision, describe(net), size)
    if target.suffix == '.param':
        return export_ncnn(net, target, precision)
    save_state(_in_precision(net, precision), target, describe(net))
    return f'{target}: {type(net).__name__} x{net.upscale}, genotype {net.genotype}, {precision}'


def describe(net):
    """dict[str, str]: What a ``.safetensors`` or ``.onnx`` says about its network.

    Args:
        net (DeCoNASNet | FusedDeCoNASNet): The network.
    """
    space = net.genotype.space
    return dict(
        architecture=type(net).__name__,
        genotype=str(net.genotype),
        scale=str(net.upscale),
        hyperparameters=json.dumps(
            dict(
                num_in_ch=net.num_in_ch,
                num_out_ch=net.num_out_ch,
                num_feat=net.num_feat,
                num_block=space.num_block,
                num_layer=space.num_layer,
                operations=space.operations,
                rgb_mean=net.mean.flatten().tolist(),
                tail=net.tail_kind,
                residual=net.residual)))


def _in_precision(net, precision):
    """dict[str, Tensor]: The state with parameters of a precision; the buffers are few and say what the net is."""
    state = net.state_dict()
    for name, parameter in net.named_parameters():
        state[name] = parameter.detach().to(DTYPES[precision])
        if not torch.isfinite(state[name]).all():
            raise WeightsError(f'{name}: a weight of {parameter.abs().max():.3g} does not fit {precision}; use bf16 or '
                               'float32')
    return state
