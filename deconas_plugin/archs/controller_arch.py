"""The controller: an LSTM that writes genotypes bit by bit."""
import math

import torch
from torch import nn
from torch.nn import functional as F

from deconas_plugin.errors import OptionError
from deconas_plugin.registration import register_arch

INIT_RANGE = 0.1
# Decisions too wide for an embedding of every combination of their bits.
SUMMED = ('local', 'global')
# Choices that other bits depend on, as in SearchSpace.needs.
SIZES = ('num_block', 'num_layer')
# The logarithm of no probability, but finite: times 0 it is 0.
NEVER = -1e4


@register_arch
class DeCoNASController(nn.Module):
    """LSTM controller over the decisions of a search space.

    One step per decision: the state of the last LSTM layer goes through one two-way head per bit (the heads of a kind
    of decision are shared over its steps), and the embedding of what was chosen is the next input. Bits of blocks and
    layers that the network does not have, by what was chosen before, are 0 with certainty.

    Args:
        space (SearchSpace): The search space, taken from the built supernet.
        num_hidden (int): Size of state and embeddings. Default: 64.
        num_lstm_layer (int): LSTM layers. Default: 2.
        tanh_constant (float | None): Logits are ``tanh_constant * tanh(z)``. The reference's 0.44 keeps the probability
            of every bit within [0.293, 0.707]: the controller cannot collapse, but never settles either. None leaves
            the logits free. Default: 0.44.
        bit_bias (float): Scale of a learned bias of every bit, added to the heads, which are shared over the steps and
            so cannot tell the steps apart before the LSTM does: until then all bits of a kind move together, and many
            settle on the wrong side. The bias moves this many times faster than the other weights. 10 works well with
            a learning rate of 3e-3; 0, as in the paper, is none. Default: 0.

    Raises:
        OptionError: tanh_constant is not positive, or bit_bias is negative.
    """

    def __init__(self, space, num_hidden=64, num_lstm_layer=2, tanh_constant=0.44, bit_bias=0.0):
        super().__init__()
        if tanh_constant is not None and not tanh_constant > 0:
            raise OptionError(f'network_c.tanh_constant: expected a positive number or ~, got {tanh_constant!r}')
        if bit_bias < 0:
            raise OptionError(f'network_c.bit_bias: expected at least 0, got {bit_bias!r}')
        self.space = space
        self.tanh_constant = tanh_constant
        self.bit_bias = bit_bias
        sizes = {decision.kind: decision.num_bits for decision in space.decisions}
        self.start = nn.Parameter(torch.empty(num_hidden))
        self.lstm = nn.LSTM(num_hidden, num_hidden, num_lstm_layer, batch_first=True)
        self.register_buffer('needs', torch.tensor(space.needs), persistent=False)
        self.heads = nn.ModuleDict({kind: nn.Linear(num_hidden, 2 * size) for kind, size in sizes.items()})
        # One row per combination of the bits of a decision, or, summed, one per set bit.
        self.embeddings = nn.ParameterDict({
            kind: torch.empty(size if kind in SUMMED else 2**size, num_hidden) for kind, size in sizes.items()
        })
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -INIT_RANGE, INIT_RANGE)
        if bit_bias:
            self.bias = nn.Parameter(torch.zeros(space.num_bits))

    @torch.no_grad()
    def sample(self, num_samples, generator=None):
        """Draw genotypes, all in one pass.

        Args:
            num_samples (int): How many, n.
            generator (torch.Generator | None): Source of randomness. Default: torch's.

        Returns:
            Tensor: (n, num_bits), int64.
        """
        uniform = torch.rand(num_samples, self.space.num_bits, generator=generator).to(self.start.device)
        return self._decide(lambda log_probs, bits: (uniform[:, bits] < log_probs[..., 1].exp()).long(), num_samples)

    @torch.no_grad()
    def greedy(self):
        """Tensor: (1, num_bits), int64: the likelier value of each bit, given the bits before it."""
        return self._decide(lambda log_probs, bits: log_probs.argmax(-1), 1)

    @torch.no_grad()
    def bit_probabilities(self, num_samples=64, generator=None):
        """Tensor: (num_bits,): how likely each bit is set, averaged over what sampled genotypes set before it."""
        log_probs = torch.cat(self._log_probs(self.sample(num_samples, generator)), dim=1)
        return log_probs[..., 1].exp().mean(0)

    def evaluate(self, bits):
        """Log-probability and entropy of given genotypes, with gradient.

        Args:
            bits (Tensor): (n, num_bits), zeros and ones.

        Returns:
            tuple[Tensor, Tensor]: Log-probability of each genotype, (n,), and the entropy summed over its decisions,
            (n,), in nats.
        """
        log_probs = torch.cat(self._log_probs(bits), dim=1)
        log_prob = log_probs.gather(-1, bits.unsqueeze(-1)).sum((1, 2))
        entropy = -(log_probs.exp() * log_probs).sum((1, 2))
        return log_prob, entropy

    def _log_probs(self, bits):
        """list[Tensor]: For every decision (n, its bits, 2), with the earlier decisions taken as in ``bits``."""
        decisions = self.space.decisions
        inputs = [self.start.expand(len(bits), -1)]
        inputs += [self._embed(decision.kind, bits[:, decision.place]) for decision in decisions[:-1]]
        hidden, _ = self.lstm(torch.stack(inputs, dim=1))
        return [self._certain(self._head(decision, hidden[:, step]), decision, bits)
                for step, decision in enumerate(decisions)]

    def _decide(self, choose, num_samples):
        """Tensor: (num_samples, num_bits): ``choose(log_probs, slice of bits)`` taken step by step."""
        x, state, chosen = self.start.expand(num_samples, -1), None, []
        for decision in self.space.decisions:
            hidden, state = self.lstm(x.unsqueeze(1), state)
            log_probs = self._head(decision, hidden[:, 0])
            before = torch.cat(chosen, 1) if chosen else None
            chosen.append(choose(self._certain(log_probs, decision, before), decision.place))
            x = self._embed(decision.kind, chosen[-1])
        return torch.cat(chosen, dim=1)

    def _head(self, decision, hidden):
        logits = self.heads[decision.kind](hidden).unflatten(-1, (-1, 2))
        if self.bit_bias:
            bias = self.bit_bias * self.bias[decision.place]
            logits = logits + torch.stack([-bias, bias], dim=-1)
        if self.tanh_constant is not None:
            logits = self.tanh_constant * torch.tanh(logits)
        return F.log_softmax(logits, dim=-1)

    def _certain(self, log_probs, decision, bits):
        """Tensor: log_probs, (n, bits of a decision, 2), with certainty about bits that mean nothing.

        Args:
            decision (Decision): Whose bits they are of.
            bits (Tensor | None): (n, at least the bits before the decision's).
        """
        if not self.space.has_sizes or decision.start < self.space.num_choice_bits:
            return log_probs
        lives = torch.ones(log_probs.shape[:2], dtype=torch.bool, device=log_probs.device)
        for choice, chosen in zip(self.space.choices, self.space.decisions, strict=False):
            if choice.kind in SIZES:
                place_values = 2**torch.arange(choice.num_bits - 1, -1, -1, device=bits.device)
                place = (bits[:, chosen.place] * place_values).sum(1)
                sizes = torch.tensor(choice.values, device=bits.device)[place]
                lives &= self.needs[decision.place, SIZES.index(choice.kind)] <= sizes.unsqueeze(1)
        certain = torch.tensor([0.0, NEVER], dtype=log_probs.dtype, device=log_probs.device)
        return torch.where(lives.unsqueeze(-1), log_probs, certain)

    def _embed(self, kind, bits):
        embedding = self.embeddings[kind]
        if kind in SUMMED:
            return bits.to(embedding.dtype) @ embedding / math.sqrt(bits.shape[1])
        place_values = 2**torch.arange(bits.shape[1], device=bits.device)
        return embedding[(bits * place_values).sum(1)]
