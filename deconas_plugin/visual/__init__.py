"""What people look at: drawings of genotypes and the report of an experiment.

It reads what runs have written and what the search knows; nothing here computes a result.
"""
