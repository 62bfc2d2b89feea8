"""Speed of the published network: training steps, inference, and how the step grows with the options."""
from contextlib import ExitStack
from math import prod

import torch
from torch.utils.flop_counter import FlopCounterMode

from deconas_plugin.archs.deconas_arch import DeCoNASNet
from deconas_plugin.cost.count import OUTPUT_SIZE_720P, ComplexityCounter
from deconas_plugin.doctor.workloads import inference, run_backend, training_step
from deconas_plugin.inference.backends import installed_backends
from deconas_plugin.machine.timing import OwnProcess, in_turns, ratio, timed
from tools.lab.speed.results import Work
from tools.lab.speed.traffic import bytes_beside_convolutions

BATCH, SIZE = 8, 32
IMAGE_SIZE = OUTPUT_SIZE_720P[1] // 2, OUTPUT_SIZE_720P[0] // 2  # of the LR image, height and width
# The sides of the image are so much shorter where its operations and bytes are counted, which grow with the pixels but
# for 0.5 % at the border, and where the network is timed not fused, which takes long.
PART = 2
# One option changed at a time; of the network, or the size of the work.
VARIATIONS = ({'num_feat': 32}, {'num_feat': 96}, {'num_block': 2}, {'num_block': 6}, {'num_layer': 2},
              {'num_layer': 6}, {'batch': 4}, {'batch': 16}, {'size': 24}, {'size': 48})


def training_speed(device, precision, limits, rounds):
    """Work: A training step of BasicSR's own model and of ours, with the defaults of each.

    Args:
        device (torch.device): Where.
        precision (str): The default of DeCoNASModel here.
        limits (dict): As :func:`machine_rates` gives them.
        rounds (int): How often.
    """
    names = {'SRModel, float32': 'SRModel', f'DeCoNASModel, {precision}': 'DeCoNASModel'}
    with ExitStack() as stack:
        runs = {name: stack.enter_context(OwnProcess(training_step, device, model_type=model))
                for name, model in names.items()}
        times = in_turns(runs, 2 * rounds)
        memory = {name: run.peak_memory() for name, run in runs.items()}
    # Forward, gradient of the input, gradient of the weights: as many operations each.
    operations = 3 * _operations_per_pixel() * BATCH * SIZE**2
    inference_limits = {name: limits[way]['inference'] for name, way in zip(names, ('float32', precision), strict=True)}
    work = Work.of(f'Training step, batch {BATCH}, LR {SIZE}x{SIZE}', times, operations, inference_limits, memory)
    ours = work.ways[-1]
    work.figures[f'{ours.name}: share of the rate of the convolution forward and backward'] = (
        ours.rate / limits[precision]['training'])
    step = training_step(device, batch=BATCH, size=SIZE)
    step()  # the first one also makes the optimizer's state
    moved = bytes_beside_convolutions(step)
    _add_limit(work, ours, operations, moved, limits[precision]['training'], limits[precision]['training_bytes'])
    return work


def compile_speed(device, precision, rounds, **step):
    """Work: A training step of DeCoNASModel with train.compile off and on, and how long the first one takes.

    Args:
        device (torch.device): Where.
        precision (str): The default of DeCoNASModel here.
        rounds (int): How often.
        **step: As :func:`training_step` takes it, to time another one.
    """
    jobs = {f'DeCoNASModel, {precision}': False, f'DeCoNASModel, {precision}, train.compile': True}
    with ExitStack() as stack:
        runs = {name: stack.enter_context(OwnProcess(training_step, device, compile=compiled, **step))
                for name, compiled in jobs.items()}
        first = {name: run() for name, run in runs.items()}
        work = Work.of('Training step, compiled', in_turns(runs, 2 * rounds))
    work.figures = {f'first step [s], {name}': seconds for name, seconds in first.items()}
    return work


def inference_speed(device, precisions, limits, rounds, size=IMAGE_SIZE):
    """Work: One image, as stock BasicSR runs the network, and as we do: in each precision, fused, in every backend that
    is installed. What fusing brings is measured on an image of half the sides.

    Args:
        device (torch.device): Where.
        precisions (list[str]): Which.
        limits (dict): As :func:`machine_rates` gives them.
        rounds (int): How often.
        size (tuple[int]): Of the LR image, height and width. Default: for a 1280x720 output.
    """
    part = tuple(side // PART for side in size)
    jobs = {'BasicSR: float32, default layout': dict(build=inference, memory_format=torch.contiguous_format,
                                                     keep_memory=False)}
    fusing = {}
    for precision in precisions:
        jobs |= {f'{precision}, {backend}': dict(build=run_backend, precision=precision, backend=backend)
                 for backend in installed_backends(device, precision)}
        fusing |= {(precision, fused): dict(build=inference, precision=precision, fused=fused)
                   for fused in (True, False)}
    with ExitStack() as stack:
        runs = {name: stack.enter_context(OwnProcess(device=device, size=size, **job)) for name, job in jobs.items()}
        # A run of stock BasicSR may take 13 s: the one that memory is measured in warms up, too.
        memory = {name: run.peak_memory() for name, run in runs.items()}
        times = in_turns(runs, rounds, warm_up=False)
    with ExitStack() as stack:
        fused_times = in_turns({name: stack.enter_context(OwnProcess(device=device, size=part, **job))
                                for name, job in fusing.items()}, rounds)
    shares = {name: limits[job.get('precision', 'float32')]['inference'] for name, job in jobs.items()}
    work = Work.of(f'Inference to {2 * size[1]}x{2 * size[0]}', times, _operations_per_pixel() * prod(size), shares,
                   memory)
    for precision in precisions:
        best = min((way for way in work.ways if jobs[way.name].get('precision') == precision),
                   key=lambda way: way.seconds)
        step = inference(device, precision, fused=True, size=part)
        with FlopCounterMode(display=False) as counter:
            moved = bytes_beside_convolutions(step)
        operations, moved = (one * PART**2 for one in (counter.get_total_flops(), moved))
        _add_limit(work, best, operations, moved, limits[precision]['inference'], limits[precision]['inference_bytes'])
        work.figures[f'{best.name}, the fastest: times stock BasicSR'] = 1 / best.relative
        work.figures[f'fused / not fused, {precision}, torch, {2 * part[1]}x{2 * part[0]}'] = ratio(
            fused_times[precision, True], fused_times[precision, False])
    return work


def _add_limit(work, way, operations, moved, operations_per_second, bytes_per_second):
    """Note what a way asks of the machine, and how close it comes to the least time for that."""
    least = operations / operations_per_second + moved / bytes_per_second
    work.figures[f'{way.name}: operations of convolutions [G]'] = operations / 1e9
    work.figures[f'{way.name}: read and written beside convolutions [GB]'] = moved / 1e9
    work.figures[f'{way.name}: least time for both at the rates above [ms]'] = least * 1e3
    work.figures[f'{way.name}: share of that limit'] = least / way.seconds


def growth(device, rounds):
    """Work: The training step with one option changed at a time; conv3x3 reads every earlier feature."""
    base = {'num_feat': 64, 'num_block': 4, 'num_layer': 4, 'batch': BATCH, 'size': SIZE}
    runs = {', '.join(f'{key} {value}' for key, value in base.items()): _dense_step(device, **base)}
    for change in VARIATIONS:
        name = ', '.join(f'{key} {value}' for key, value in change.items())
        runs[name] = _dense_step(device, **{**base, **change})
    return Work.of('Growth of the training step', in_turns(runs, rounds))


def _dense_step(device, num_layer, batch, size, **network):
    genotype = '100' * (num_layer * (num_layer + 1) // 2)
    network = {'type': 'DeCoNASNet', 'genotype': genotype, 'num_layer': num_layer, **network}
    step = training_step(device, network=network, batch=batch, size=size)
    return lambda: timed(step, device)


def _operations_per_pixel():
    """float: Of the published network, per LR pixel; two per multiply-add pair."""
    net = DeCoNASNet()
    counter = ComplexityCounter.of(net)
    return 2 * counter.count(net.genotype).mult_adds / counter.pixels
