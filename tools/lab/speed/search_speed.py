"""Speed of a search: weight steps of the supernet, controller rounds, and what both mean for the paper's schedule."""
import random
import tempfile
from statistics import fmean, median

import torch
from basicsr.models import build_model
from torch.profiler import ProfilerActivity, profile

from deconas_plugin.archs.deconas_supernet_arch import DeCoNASSuperNet
from deconas_plugin.doctor.workloads import SupernetStepModel, random_pair, repeated_step, step_options
from deconas_plugin.machine.timing import in_turns, ratio, timed
from deconas_plugin.search.build import SearchParts
from deconas_plugin.search.history import SearchHistory
from deconas_plugin.search.reward import Score
from tools.lab.speed.results import Way, Work

NUM_SAMPLES = 32
NUM_SCORED = 4  # of them: scoring takes the same time for each
OPTIONS = {'scale': 2, 'network_c': {'type': 'DeCoNASController'},
           'search': {'strategy': {'type': 'reinforce'}, 'penalty': [{'type': 'params', 'weight': 2.0}],
                      'reward': {'test_y_channel': False, 'precision': 'float32'}}}
# The schedule of the paper: options/search_x2.yml.
WEIGHT_STEPS, WEIGHT_BATCH, WEIGHT_SIZE = 200_000, 16, 64
CONTROLLER_STEPS, REWARD_BATCH, REWARD_SIZE = 19_500, 10, 48


def supernet_speed(device, rounds, num_genotypes=8, batch=8, size=32):
    """Work: A training step of the supernet and of the network derived from it, over many genotypes."""
    supernet = SupernetStepModel(step_options({'type': 'DeCoNASSuperNet'}, device))
    supernet_step = repeated_step(supernet, batch, size)
    rng = random.Random(0)
    seconds, ratios = {'derived network': [], 'supernet': []}, []
    for _ in range(num_genotypes):
        genotype = supernet.net_g.space.sample(rng)
        supernet.draw = lambda genotype=genotype: genotype
        options = step_options({'type': 'DeCoNASNet', 'genotype': str(genotype)}, device)
        derived_step = repeated_step(build_model({**options, 'model_type': 'DeCoNASModel'}), batch, size)
        times = in_turns({'derived network': lambda step=derived_step: timed(step, device),
                          'supernet': lambda: timed(supernet_step, device)}, rounds)
        for name, values in times.items():
            seconds[name].append(median(values))
        ratios.append(ratio(times['supernet'], times['derived network']))
    return Work(f'Training step, mean of {num_genotypes} genotypes, batch {batch}, LR {size}x{size}',
                [Way('derived network', fmean(seconds['derived network']), 1.0),
                 Way('supernet', fmean(seconds['supernet']), fmean(ratios))])


class ControllerBench:
    """A controller with all that its steps need, rewards on random patches.

    Args:
        device (torch.device): Where the supernet computes; the controller is on the CPU, as in a search.
        folder (str): For the history's files.
    """

    def __init__(self, device, folder):
        parts = SearchParts(OPTIONS, DeCoNASSuperNet().to(device, memory_format=torch.channels_last))
        self.penalty, self.reward, self.strategy = parts.penalty, parts.reward, parts.strategy
        self.history = SearchHistory(folder, parts.counter)
        pair = random_pair(REWARD_BATCH, REWARD_SIZE, scale=2)
        self.batches = [(pair['lq'].to(device), pair['gt'].to(device))]

    def sample(self, num_samples):
        """list[Genotype]: Drawn from the controller."""
        return self.strategy.ask(num_samples)

    def score(self, genotypes):
        """list[Score]: Their rewards."""
        return self.reward.score(genotypes, self.batches)

    def learn(self, scores):
        """Move the controller and write the history."""
        log = self.strategy.tell([score.genotype for score in scores], [score.reward for score in scores])
        self.history.add_scores(0, 0, scores, log)

    def step_without_scoring(self, num_samples):
        """All of a controller step but the supernet."""
        self.learn([Score(genotype, 30.0, self.penalty(genotype)) for genotype in self.sample(num_samples)])

    def step(self, num_samples):
        """A controller step."""
        self.learn(self.score(self.sample(num_samples)))


def controller_speed(device, rounds):
    """Work: Sampling and bookkeeping of a controller step with many samples, and of as many steps with one; and where
    the time of a whole step goes."""
    with tempfile.TemporaryDirectory() as folder:
        bench = ControllerBench(device, folder)
        times = in_turns({
            f'{NUM_SAMPLES} steps with 1 sample':
                lambda: timed(lambda: [bench.step_without_scoring(1) for _ in range(NUM_SAMPLES)], device),
            f'1 step with {NUM_SAMPLES} samples':
                lambda: timed(lambda: bench.step_without_scoring(NUM_SAMPLES), device),
        }, rounds)
        genotypes = bench.sample(NUM_SAMPLES)
        scores = [Score(genotype, 30.0, bench.penalty(genotype)) for genotype in genotypes]
        parts = in_turns({
            'sampling': lambda: timed(lambda: bench.sample(NUM_SAMPLES), device) / NUM_SAMPLES,
            f'scoring on {REWARD_BATCH} patches {REWARD_SIZE}x{REWARD_SIZE}':
                lambda: timed(lambda: bench.score(genotypes[:NUM_SCORED]), device) / NUM_SCORED,
            'learning and history': lambda: timed(lambda: bench.learn(scores), device) / NUM_SAMPLES,
        }, rounds, seconds=15)
    work = Work.of(f'Sampling and bookkeeping of {NUM_SAMPLES} genotypes', times)
    work.figures = {f'{part}, each of {NUM_SAMPLES} genotypes [ms]': 1e3 * median(seconds)
                    for part, seconds in parts.items()}
    return work


def paper_schedule(device, rounds):
    """Work: How long the search of the paper takes here, from the steps of its two phases; data loading excluded."""
    with tempfile.TemporaryDirectory() as folder:
        bench = ControllerBench(device, folder)
        model = SupernetStepModel(step_options({'type': 'DeCoNASSuperNet'}, device))
        model.draw = lambda: bench.sample(1)[0]
        weight_step = repeated_step(model, WEIGHT_BATCH, WEIGHT_SIZE)
        times = in_turns({'weight': lambda: timed(weight_step, device),
                          'controller': lambda: timed(lambda: bench.step(1), device)}, 2 * rounds, seconds=30)
        weight, controller = (fmean(times[name]) for name in ('weight', 'controller'))
        figures = {
            f'weight step, batch {WEIGHT_BATCH}, LR {WEIGHT_SIZE}x{WEIGHT_SIZE} [ms]': 1e3 * weight,
            f'controller step, 1 sample, {REWARD_BATCH} patches {REWARD_SIZE}x{REWARD_SIZE} [ms]': 1e3 * controller,
            f'{WEIGHT_STEPS:,} weight steps and {CONTROLLER_STEPS:,} controller steps [h]':
                (WEIGHT_STEPS * weight + CONTROLLER_STEPS * controller) / 3600,
        }
        if device.type == 'cuda':
            figures['share of a weight step in which the GPU computes'] = _gpu_busy(weight_step, device)
    return Work("The paper's search at x2", figures=figures)


def _gpu_busy(step, device, repeats=20):
    """float: Time of all kernels over the time of the steps."""
    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        seconds = timed(lambda: [step() for _ in range(repeats)], device)
    return sum(event.self_device_time_total for event in profiler.key_averages()) / 1e6 / seconds
