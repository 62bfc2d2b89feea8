"""The league: trains any networks alike, ranks them, and can be interrupted at any moment."""
import hashlib
from functools import partial
from math import nan
from pathlib import Path
from statistics import fmean

import torch
from basicsr.data import build_dataset
from basicsr.utils import img2tensor, tensor2img
from rich.console import Console

from deconas_plugin.benchmark.measure import Sample, samples_of
from deconas_plugin.benchmark.rows import score_image
from deconas_plugin.benchmark.sets import find_test_sets
from deconas_plugin.cost.count import OUTPUT_SIZE_720P
from deconas_plugin.errors import Interrupted
from deconas_plugin.files.experiment_folder import ExperimentFolder
from deconas_plugin.files.option_files import save_options
from deconas_plugin.files.paths import project_root
from deconas_plugin.files.pieces import Results
from deconas_plugin.files.states import load_state
from deconas_plugin.league.members import SHARED, load_league, run_options
from deconas_plugin.league.standings import Standing, write_report
from deconas_plugin.machine.console import quiet_console
from deconas_plugin.machine.device import device_name, device_of_run, keep_freed_memory
from deconas_plugin.machine.timing import Deadline, in_turns, timed
from deconas_plugin.runs.pipeline import run_training

LATENCY_ROUNDS = 15


class League:
    """A league in a folder.

    For every member a training of ``rate_iter`` steps with each learning rate, of which the best on ``datasets.choose``
    is kept; with that one training of ``train.total_iter`` steps for each seed. A rate with which the first of these
    ends worse than the short one did is too high for so long a training, and the next best takes its place. PSNR on
    ``datasets.val`` ranks. One seed means the same patches in the same order for all.

    Args:
        path (str | Path): Option file, see options/README.md.
        output (str | Path | None): Folder of trainings and results. Default: ``results/<name of the league>``.
        max_minutes (float | None): Stop in good order after this long.
        changes (list[str] | None): ``section:key=value`` of --force_yml.

    Raises:
        DeCoNASError: Options, data or a member cannot be used, or the folder holds a league of other settings; nothing
            was trained.
    """

    def __init__(self, path, output, max_minutes=None, changes=None):
        self.deadline = Deadline(max_minutes)
        self.opt, self.members = load_league(path, changes)
        self.output = Path(output or project_root() / 'results' / self.opt['name'])
        self.results = Results(self.output, {key: self.opt.get(key) for key in SHARED})
        self.device = device_of_run(self.opt['num_gpu'])
        test_sets, self.notes = find_test_sets(self.opt['test_data'], self.opt['scale'],
                                               self.opt.get('test_sets') or ())
        self.test_sets = {test_set.name: test_set for test_set in test_sets}

    def run(self):
        """Train and measure what is missing, and write ``league.md``, ``.csv``, ``.json`` and ``.png``.

        Returns:
            list[Standing]: The table, best first.

        Raises:
            Interrupted: The time is up, or a signal asked to stop; the same command continues.
        """
        keep_freed_memory(self.device)
        quiet_console()
        rates, latency = {}, {}
        try:
            # Rates first: when one of them turns out to be at the end of the list, little time has been spent.
            trials = {}
            for member in self.members:
                trials[member.key] = self._try_rates(member, self._train_and_choose)
                self._say(f'{member.name}: ' + ', '.join(f'rate {rate:g}: {psnr:.3f} dB'
                                                         for rate, psnr in trials[member.key].items()))
            for seed in self.opt['seeds']:
                for member in self.members:
                    if member.key not in rates:
                        rates[member.key] = self._choose_rate(member, trials[member.key], self._train_and_choose)
                    self._score(member, rates[member.key], seed)
            self._minutes_left()
            latency = self._latency()
        finally:
            for member in self.members:
                if member.key not in rates and (rate := self._kept_rate(member)):
                    rates[member.key] = rate
            standings = [self._standing(member, rates[member.key], latency) for member in self.members
                         if member.key in rates]
            write_report(self.opt, standings, [*self._settings(), *self.notes], self.output)
        Console().print((self.output / 'league.md').read_text(encoding='utf-8'), soft_wrap=True, markup=False)
        return sorted(standings, key=lambda standing: -standing.psnr)

    def _kept_rate(self, member):
        """float | None: The learning rate that was chosen before, where nothing is missing that tells."""

        def missing(_member, options):
            raise LookupError(options['name'])

        try:
            return self._choose_rate(member, self._try_rates(member, missing), missing)
        except LookupError:
            return None

    def _try_rates(self, member, compute):
        """dict[float, float]: PSNR on datasets.choose after a short training with each learning rate, best first; what
        is not kept, ``compute`` finds for a member and options."""
        seed, steps, found = self.opt['seeds'][0], self.opt['rate_iter'], {}
        for rate in self.opt['learning_rates']:
            options = self._options(member, rate, seed, steps)
            found[rate] = self.results.get(f'rate_{options["name"]}', partial(compute, member, options))['psnr']
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    def _choose_rate(self, member, trials, compute):
        """float: The first rate whose whole training does not end worse than its trial; the best of all, where each
        does."""
        seed, steps, ends = self.opt['seeds'][0], self.opt['train']['total_iter'], {}
        for rate, trial in trials.items():
            options = self._options(member, rate, seed, steps)
            ends[rate] = self.results.get(_piece(options, 'choose'), partial(compute, member, options))['psnr']
            if ends[rate] >= trial:
                return rate
            self._say(f'{member.name}: rate {rate:g} ends at {ends[rate]:.3f} dB, worse than the {trial:.3f} dB of its '
                      'trial')
        return max(ends, key=ends.get)

    def _train_and_choose(self, member, options):
        """dict: Mean scores on datasets.choose after a training."""
        return self._mean_scores(self._trained(member, options), self._photos('choose'))

    def _score(self, member, rate, seed):
        options = self._options(member, rate, seed, self.opt['train']['total_iter'])
        missing = [images for images in self._image_sets() if not self.results.has(_piece(options, images))]
        if missing:
            net = self._trained(member, options)
            for images in missing:
                samples = self._photos('val') if images == 'val' else \
                    samples_of(self.test_sets[images], self.opt['scale'])
                self.results.get(_piece(options, images), lambda samples=samples: self._mean_scores(net, samples))
        psnr = self.results.get(_piece(options, 'val'), dict)['psnr']
        self._say(f'{member.name}, seed {seed}: {psnr:.3f} dB')

    def _standing(self, member, rate, latency):
        scores = []
        for seed in self.opt['seeds']:
            options = self._options(member, rate, seed, self.opt['train']['total_iter'])
            found = {images: self.results.get(_piece(options, images), dict) for images in self._image_sets()
                     if self.results.has(_piece(options, images))}
            scores += [found] if 'val' in found else []
        ends = min(self.opt['learning_rates']), max(self.opt['learning_rates'])
        return Standing(member.name, member.is_own, member.cost.params, member.cost.mult_adds,
                        latency.get(member.key, nan), rate, rate in ends, scores)

    def _image_sets(self):
        """list[str]: What is scored: the images that rank, and the test sets that are there."""
        return ['val', *self.test_sets]

    def _options(self, member, rate, seed, steps):
        return run_options(self.opt, member, rate, seed, steps)

    def _trained(self, member, options):
        """nn.Module: The network after a training, which is begun, continued, or already done."""
        weights = ExperimentFolder.named(self.output, options['name']).weights()
        if not weights.exists():
            minutes = self._minutes_left()
            path = self.output / 'options' / f'{options["name"]}.yml'
            path.parent.mkdir(parents=True, exist_ok=True)
            train = {**options['train'], **({} if minutes is None else {'max_minutes': minutes})}
            save_options({**options, 'train': train}, path, f'{member.name} of the league {self.opt["name"]}')
            self._say(f'{member.name}: training of {options["train"]["total_iter"]:,} steps, learning rate '
                      f'{options["train"]["optim_g"]["lr"]:g}, seed {options["manual_seed"]}')
            run_training('train', path, root=self.output.resolve(), auto_resume=True)
        return self._on_device(member.build(load_state(weights)[0]))

    def _minutes_left(self):
        """float | None: What is left of the time, None where there is no limit.

        Raises:
            Interrupted: Nothing is left.
        """
        if self.deadline.is_over:
            raise Interrupted(f'The time of --max-minutes is up. The same command continues {self.output}.', 0)
        return self.deadline.minutes_left

    def _on_device(self, net):
        return net.to(self.device, memory_format=torch.channels_last)

    def _photos(self, key):
        """Iterator[Sample]: The whole images of a section of ``datasets``."""
        dataset = build_dataset({**self.opt['datasets'][key], 'phase': 'val', 'scale': self.opt['scale']})
        for data in dataset:
            yield Sample(key, data['gt_path'], tensor2img(data['gt']), tensor2img(data['lq']))

    @torch.no_grad()
    def _mean_scores(self, net, samples):
        """dict: Means of PSNR (dB) and SSIM on luma, of images quantised to bytes."""
        scores = []
        for sample in samples:
            image = img2tensor(sample.lr.astype('float32') / 255, bgr2rgb=True, float32=True).unsqueeze(0)
            output = net(image.to(self.device, memory_format=torch.channels_last)).float().cpu()
            scores.append(score_image(tensor2img(output), sample.hr, self.opt['scale']))
        return {'psnr': fmean(score.psnr for score in scores), 'ssim': fmean(score.ssim for score in scores)}

    def _latency(self):
        """dict[str, float]: Milliseconds of each member for a 1280x720 output in float32, all measured in turns."""
        keys = [member.key for member in self.members]

        def compute():
            self._say('Measuring latency.')
            width, height = (size // self.opt['scale'] for size in OUTPUT_SIZE_720P)
            image = torch.rand(1, 3, height, width).to(self.device, memory_format=torch.channels_last)
            nets = [self._on_device(member.build()) for member in self.members]
            with torch.no_grad():
                seconds = in_turns({key: lambda net=net: timed(lambda: net(image), self.device)
                                    for key, net in zip(keys, nets, strict=True)}, LATENCY_ROUNDS)
            # Whatever else the machine does can only slow a run down.
            return {key: min(times) * 1e3 for key, times in seconds.items()}

        return self.results.get(f'latency_{hashlib.sha256(" ".join(keys).encode()).hexdigest()[:8]}', compute)

    def _settings(self):
        opt, train = self.opt, self.opt['train']
        dataset = opt['datasets']['train']
        size = f'{dataset["gt_size"]} HR pixels'
        if dataset.get('final_gt_size'):
            size += f' ({dataset["final_gt_size"]} in the last {dataset.get("final_share", 0.2):.0%})'
        return [
            f'Training: {train["total_iter"]:,} steps of {dataset["batch_size_per_gpu"]} patches of {size}, '
            f'{train["optim_g"]["type"]}, warm-up {train.get("warmup_iter", -1)} and one cosine, '
            f'{train["pixel_opt"]["type"]}, EMA {train.get("ema_decay", 0)}, {len(opt["seeds"])} seeds. The learning '
            f'rate is the best of {", ".join(f"{rate:g}" for rate in opt["learning_rates"])} after '
            f'{opt["rate_iter"]:,} steps on {opt["datasets"]["choose"]["name"]}, with which the whole training ends no '
            'worse; * marks one at the end of this list.',
            f'Ranked by PSNR on {opt["datasets"]["val"]["name"]}, luma, border {opt["scale"]}; test sets are reported '
            'and decide nothing.',
            f'Latency: least of {LATENCY_ROUNDS} runs for a 1280x720 output in float32, in turns, on '
            f'{device_name(self.device)}; networks as deployed (branches of ECBSR merged, DeCoNASNet merged).',
        ]

    def _say(self, text):
        Console().print(text, soft_wrap=True, markup=False, highlight=False)


def _piece(options, images):
    """str: Name of the scores of a training on some images."""
    return f'score_{options["name"]}_{images}'


