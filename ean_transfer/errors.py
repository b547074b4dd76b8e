"""The errors this toolkit raises on purpose.

Each carries one line for the person at the terminal: what was expected, what was found, in which
file, and what to do. The command line tools print that line and no traceback.
"""


class EANError(ValueError):
    """Base of all errors raised for bad input."""


class ConfigError(EANError):
    """A config asks for something that does not exist or does not fit together."""


class DataError(EANError):
    """A data set, an image or an annotation is missing or malformed."""


class CheckpointError(EANError):
    """A checkpoint cannot be read safely or does not fit the network it is loaded into."""
