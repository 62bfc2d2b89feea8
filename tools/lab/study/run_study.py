"""The whole comparison: supernets, strategies on them, and rank correlation, resumable piece by piece."""
from pathlib import Path

from rich.console import Console

from deconas_plugin.errors import DeCoNASError
from deconas_plugin.files.atomic import save_text
from deconas_plugin.files.pieces import Results
from deconas_plugin.machine.timing import Deadline
from deconas_plugin.options.trial import check_network_builds
from deconas_plugin.runs.pipeline import checked_options
from deconas_plugin.search.alone import AloneTraining, check_trains_alone
from deconas_plugin.search.build import SearchParts
from tools.lab.study.compare_strategies import search_with
from tools.lab.study.rank import correlations, shared_psnr, stratified_genotypes, train_alone
from tools.lab.study.report import fairness_table, plot_ranks, plot_strategies, rank_table, strategy_table
from tools.lab.study.supernets import trained_supernet

STRATEGIES = {'random': {'type': 'random'}, 'evolution': {'type': 'evolution'}}
# Weight steps and genotypes per step balance, so that all supernets see as many forward and backward passes.
VARIANTS = {
    'uniform': {'weight_sampling': 'uniform'},
    'fair': {'weight_sampling': 'fair'},
    'two genotypes per step': {'weight_sampling': 'uniform', 'genotypes_per_step': 2},
}


class Study:
    """A study in a folder.

    Args:
        opt (str | Path): Options of a search; ``search.strategy`` is what is compared with random and evolution.
        output (str | Path): Folder of the study.
        seeds (int): Supernets and searches.
        rank_seeds (int): Of them, with how many the variants of supernet training are compared.
        budget (int): Scored genotypes of a search, a multiple of ``search.num_samples``.
        candidates (int): Genotypes that its derivation scores.
        supernet_steps (int): Forward and backward passes of a supernet's training.
        num (int): Networks that are trained alone; fewer where the space has no more.
        steps (int): Weight steps of each.
        max_minutes (float | None): No new piece begins after this long.

    Raises:
        DeCoNASError: The options or their data cannot be used, or the folder holds a study of other settings.
    """

    def __init__(self, opt, output, seeds=5, rank_seeds=2, budget=512, candidates=16, supernet_steps=1000, num=24,
                 steps=300, max_minutes=None):
        self.opt = checked_options('search', opt, also=check_trains_alone)
        self.output = Path(output)
        self.seeds, self.rank_seeds = range(seeds), range(min(rank_seeds, seeds))
        self.budget, self.candidates, self.supernet_steps = budget, candidates, supernet_steps
        self.num_samples = self.opt['search']['num_samples']
        if budget < 1 or budget % self.num_samples:
            raise DeCoNASError(f'--budget: expected a multiple of search.num_samples ({self.num_samples}), '
                               f'got {budget}')
        supernet = check_network_builds(self.opt['network_g'], 'network_g')
        self.counter, self.steps = SearchParts(self.opt, supernet).counter, steps
        self.genotypes = stratified_genotypes(supernet.space, self.counter, num, seed=0)
        own = self.opt['search']['strategy']
        self.strategies = {own['type']: own}
        for name, plain in STRATEGIES.items():
            self.strategies.setdefault(name, plain)
        # More seeds continue a study; everything else would make its pieces incomparable.
        self.results = Results(output, dict(options=self.opt, budget=budget, candidates=candidates,
                                            supernet_steps=supernet_steps, num=num, steps=steps))
        self.deadline = Deadline(max_minutes)
        self._experiments = {}

    def run(self):
        """Compute what is missing, as far as the time allows, and write tables and plots.

        Returns:
            bool: Whether the study is complete.
        """
        pieces = [*self._strategy_pieces(), *self._rank_pieces()]
        for number, (name, compute) in enumerate(pieces, 1):
            if self.deadline.is_over:
                Console().print(f'{number - 1} of {len(pieces)} pieces are done; the same command continues.')
                return False
            self.results.get(name, compute)
            Console().print(f'{number}/{len(pieces)}: {name}')
        self._report()
        return True

    def _strategy_pieces(self):
        for seed in self.seeds:
            for name, options in self.strategies.items():
                yield f'search_{name}_{seed}', lambda seed=seed, options=options: search_with(
                    self._experiment('uniform', seed), options, self.budget, self.num_samples, self.candidates, seed)

    def _rank_pieces(self):
        for index, genotype in enumerate(self.genotypes):
            yield f'alone_{index}', lambda genotype=genotype: train_alone(
                AloneTraining(self._experiment('uniform', 0)), genotype, self.steps)
        for variant in VARIANTS:
            for seed in self.rank_seeds:
                yield f'shared_{variant}_{seed}', lambda variant=variant, seed=seed: shared_psnr(
                    self._experiment(variant, seed), self.genotypes)

    def _experiment(self, variant, seed):
        """SearchExperiment: A supernet trained in this way, without a controller round."""
        name = f'supernet_{variant.replace(" ", "_")}_{seed}'
        if name not in self._experiments:
            changes = VARIANTS[variant]
            steps = self.supernet_steps // changes.get('genotypes_per_step', 1)
            self._experiments[name] = trained_supernet(self.opt, self.output, name, steps, seed, changes)
        return self._experiments[name]

    def _report(self):
        done = {name: self.results.get(name, compute)
                for name, compute in [*self._strategy_pieces(), *self._rank_pieces()]}
        searches = {name: [done[f'search_{name}_{seed}'] for seed in self.seeds] for name in self.strategies}
        alone = [done[f'alone_{index}'] for index in range(len(self.genotypes))]
        ranks = {variant: [correlations(self.genotypes, done[f'shared_{variant}_{seed}'], alone, self.counter)
                           for seed in self.rank_seeds] for variant in VARIANTS}
        text = '\n'.join([
            '# Study\n',
            strategy_table({name: [search['reward'] for search in found] for name, found in searches.items()},
                           {name: [search['first_reward'] for search in found] for name, found in searches.items()},
                           self.budget),
            rank_table(ranks['uniform'][0], f'{len(self.genotypes)} networks, {self.steps} steps alone'),
            fairness_table({variant: [found['shared weights']['kendall'] for found in seeds]
                            for variant, seeds in ranks.items()})])
        save_text(text, self.output / 'study.md')
        plot_strategies({name: [search['gains'] for search in found] for name, found in searches.items()},
                        self.num_samples, self.output / 'strategies.png')
        mult_adds = [self.counter.count(genotype).mult_adds for genotype in self.genotypes]
        plot_ranks('shared weights', done['shared_uniform_0'], alone, mult_adds, self.output / 'rank.png')
        Console().print(text, soft_wrap=True)
