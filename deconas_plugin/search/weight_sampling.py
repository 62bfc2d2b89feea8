"""Which genotypes the shared weights are trained with."""

WEIGHT_SAMPLING = ('strategy', 'uniform_warmup', 'uniform', 'fair')


class WeightSampler:
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
            that both have.
        warmup_iter (int): Weight steps of the warm-up.
    """

    def __init__(self, strategy, space, rng, mode, warmup_iter):
        self.strategy = strategy
        self.space = space
        self.rng = rng
        self.mode = mode
        self.warmup_iter = warmup_iter
        self.previous = None

    def draw(self, current_iter):
        """Genotype: For weight step ``current_iter``, counted from 1."""
        if self.mode == 'strategy' or (self.mode == 'uniform_warmup' and current_iter > self.warmup_iter):
            return self.strategy.draw()
        if self.mode == 'fair' and self.previous is not None:
            genotype, self.previous = self.previous.complement, None
            return genotype
        genotype = self.space.sample(self.rng)
        if self.mode == 'fair':
            self.previous = genotype
        return genotype

    def state_dict(self):
        """dict: What :meth:`load_state_dict` needs to continue, but the state of the shared ``rng``."""
        return {'previous': None if self.previous is None else list(self.previous.bits)}

    def load_state_dict(self, state):
        """Continue from :meth:`state_dict`."""
        bits = state['previous']
        self.previous = None if bits is None else self.space.genotype(bits)
