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


class BackendError(DeCoNASError):
    """A runtime is not installed, does not compute this precision, or cannot take the network."""


class StorageError(DeCoNASError):
    """A file cannot be written: the disk is full, or this is not allowed here."""


class DivergenceError(DeCoNASError):
    """Training went astray and was stopped."""


class Interrupted(Exception):
    """A signal or the clock asked to stop and the work has been saved.

    Args:
        message (str): One line that says what was saved and how to go on.
        signum (int): The signal, 0 for the clock.
    """

    def __init__(self, message, signum):
        super().__init__(message)
        self.signum = signum
