"""Weights of the networks in the paper's table, as their authors and others published them."""
