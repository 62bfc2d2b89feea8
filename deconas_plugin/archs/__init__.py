"""Everything with parameters: candidate operations, derived network, supernet and controller."""
