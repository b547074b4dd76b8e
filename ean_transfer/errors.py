"""The errors that are raised for bad input of users.

Each carries one line for the person at the terminal: what was expected, what was found, in which
file, and what to do. The commands print that line and no traceback. A bug is any other error.
"""


class EANError(ValueError):
    """Base of all errors raised for bad input."""


class ConfigError(EANError):
    """A config or an argument asks for something that does not exist or does not fit."""


class DataError(EANError):
    """A data set, an image or an annotation is missing or malformed."""


class CheckpointError(EANError):
    """A checkpoint cannot be read safely or does not fit the network it is loaded into."""


class TrainingError(EANError):
    """A training cannot go on: its loss is not finite, or another of its processes has ended."""
