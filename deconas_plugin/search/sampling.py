"""Which genotypes the shared weights are trained with."""

WEIGHT_SAMPLING = ('strategy', 'uniform_warmup', 'uniform', 'fair', 'sandwich', 'largest_first')


class GenotypeSampler:
    """Draws the genotypes of weight steps.

    Weights that follow a controller make it self-reinforcing: what it prefers is trained more and then scores better.
    Uniform sampling keeps scores comparable, at the price of training networks that nobody wants.

    Args:
        strategy (SearchStrategy): Draws where the mode asks for it.
        space (SearchSpace): Uniform draws come from it.
        rng (random.Random): Source of uniform draws.
        mode (str): 'strategy' always (the paper); 'uniform_warmup': uniform until the warm-up ends, then the strategy;
            'uniform' always; 'fair': as uniform, but every second genotype is the complement of the one before, so that
            over two draws every weight is selected exactly once; where the width is searched, every weight of the width
            that both have; 'sandwich': the smallest network, the largest and a uniform one in turns (Yu and Huang,
            2019, https://arxiv.org/abs/1903.05134); three genotypes per weight step make it what they mean by it;
            'largest_first': the largest network alone in the first half of the warm-up, uniform after it, so that the
            others begin with features that mean something (as in progressive shrinking, Cai et al., 2020,
            https://arxiv.org/abs/1908.09791).
        warmup_iter (int): Weight steps of the warm-up.
    """

    def __init__(self, strategy, space, rng, mode, warmup_iter):
        self.strategy = strategy
        self.space = space
        self.rng = rng
        self.mode = mode
        self.warmup_iter = warmup_iter
        self.waiting = []

    def draw(self, current_iter):
        """Genotype: For weight step ``current_iter``, counted from 1."""
        if self.mode == 'strategy' or (self.mode == 'uniform_warmup' and current_iter > self.warmup_iter):
            return self.strategy.draw()
        if self.mode == 'largest_first' and current_iter <= self.warmup_iter / 2:
            return self.space.genotype([1] * self.space.num_bits)
        if not self.waiting:
            self.waiting = self._next()
        return self.waiting.pop(0)

    def _next(self):
        """list[Genotype]: Those of the next weight steps."""
        uniform = self.space.sample(self.rng)
        if self.mode == 'fair':
            return [uniform, uniform.complement]
        if self.mode == 'sandwich':
            return [*(self.space.genotype([bit] * self.space.num_bits) for bit in (0, 1)), uniform]
        return [uniform]

    def state_dict(self):
        """dict: What :meth:`load_state_dict` needs to continue, but the state of the shared ``rng``."""
        return {'waiting': [list(genotype.bits) for genotype in self.waiting]}

    def load_state_dict(self, state):
        """Continue from :meth:`state_dict`."""
        if 'previous' in state:  # of earlier versions: after this one, its complement was due
            previous = state['previous'] and self.space.genotype(state['previous'])
            self.waiting = [previous.complement] if previous else []
        else:
            self.waiting = [self.space.genotype(bits) for bits in state['waiting']]
