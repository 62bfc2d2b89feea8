"""Errors that name what was found, what was expected and what to do, in one line."""


class DeCoNASError(ValueError):
    """Base class: a mistake in the input (options, genotype, data, weights), not in the program.

    The command line tools print its message as one line and exit with code 2.
    """


class OptionError(DeCoNASError):
    """An option file holds something that cannot be run."""


class GenotypeError(DeCoNASError):
    """A genotype does not fit its search space."""


class DataError(DeCoNASError):
    """Images or databases are missing, broken or do not belong together."""


class WeightsError(DeCoNASError):
    """A weight file is unreadable or belongs to another network."""
