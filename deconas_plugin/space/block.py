"""What a genotype says of one densely connected block."""
from dataclasses import dataclass
from functools import cached_property

from deconas_plugin.space.choices import PAPER_ACTIVATION, PAPER_ATTENTION


@dataclass(frozen=True, eq=False)
class BlockGenotype:
    """The connections of a block.

    Attributes:
        layer_inputs (tuple): ``layer_inputs[k][o]`` are the earlier features (tuple[int]) that operation o of layer k
            reads.
        local_fusion (tuple[int]): Features that the 1x1 fusion reads; the last layer always is one of them.
        attention, activation (str): Of its layers.
    """
    layer_inputs: tuple
    local_fusion: tuple
    attention: str = PAPER_ATTENTION
    activation: str = PAPER_ACTIVATION

    @classmethod
    def from_bits(cls, space, bits, block, num_layer, attention, activation):
        """Read what bits say of one block.

        Args:
            space (SearchSpace): Which they belong to.
            bits (tuple[int]): Those of a whole genotype.
            block (int): Whose decisions count.
            num_layer (int): Layers that it has, of as many as the space's decisions are about.
            attention, activation (str): Of its layers.
        """
        layers, local = [[[] for _ in space.operations] for _ in range(num_layer)], None
        for decision in space.decisions:
            if decision.block != block:
                continue
            decided = bits[decision.place]
            if decision.kind == 'local':
                local = decided
            elif decision.layer < num_layer:
                for inputs, bit in zip(layers[decision.layer], decided, strict=True):
                    inputs += [decision.feature] * bit
        layer_inputs = tuple(tuple(map(tuple, layer)) for layer in layers)
        return cls(layer_inputs, fusion_inputs(num_layer, local), attention, activation)

    @cached_property
    def live_layers(self):
        """tuple[int]: Layers whose output reaches the output of the block, in order of computation."""
        live = {feature - 1 for feature in self.local_fusion if feature}
        for layer in reversed(range(len(self.layer_inputs))):
            if layer in live:
                # A layer without operations passes the last feature on.
                read = set().union(*self.layer_inputs[layer]) or {layer}
                live |= {feature - 1 for feature in read if feature}
        return tuple(sorted(live))

    def describe(self, operations):
        """dict[str, str | dict]: Readable connections, for ``genotype.yml`` and tables."""
        connections = {}
        for layer, inputs_of in enumerate(self.layer_inputs):
            connections[_feature_name(layer + 1)] = {
                name: ', '.join(map(_feature_name, inputs))
                for name, inputs in zip(operations, inputs_of, strict=True) if inputs
            } or f'passes on {_feature_name(layer)}'
        connections['local fusion'] = ', '.join(map(_feature_name, self.local_fusion))
        return connections


def fusion_inputs(last, bits):
    """tuple[int]: Features that a fusion reads: those whose bit is set (all without bits), and always the last."""
    bits = (1, ) * last if bits is None else bits[:last]
    return tuple(feature for feature, bit in enumerate(bits) if bit) + (last, )


def _feature_name(feature):
    return f'layer {feature - 1}' if feature else 'block input'
