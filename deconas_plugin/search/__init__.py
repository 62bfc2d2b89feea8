"""Everything without parameters: search space, genotype, complexity, search strategy and derivation."""
