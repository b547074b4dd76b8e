"""What mmengine says about a config that it cannot build, as one line for the person who wrote it.

mmengine answers an unknown ``type`` by ``KeyError``, and Python an argument that a class does not
take by ``TypeError``. A mistake in the toolkit's own code raises the same. Only the first kind is
the config's fault, and is told apart by where it was raised. A part that needs an operator which
mmcv was not compiled with gives a ``RuntimeError``, told by its text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from traceback import walk_tb
from types import FrameType

from mmengine.config import Config

from ean_transfer.errors import ConfigError, EANError

_ADVICE = {
    "Expected more than 1 value per channel when training": "BatchNorm found one image in a batch, "
    "which PSPNet and ASPP pool to 1 x 1: set train_dataloader.batch_size to 2 or more, and "
    "train_dataloader.drop_last=True where one image remains",
    "is not a subset of classes": "classes of your own belong to CheckedSegDataset, see "
    "docs/own_segmentation.md",
}
"""Part of an error's text, which torch or mmseg raises as ``ValueError`` -> what to do."""


@contextmanager
def config_errors(cfg: Config) -> Iterator[None]:
    """Yield while parts of a config are built; an error about the config becomes one line.

    Args:
        cfg: The config, whose file the message names.

    Raises:
        ConfigError: A part names a type that is not registered, an argument that its type does
            not take, or needs an operator that mmcv lacks; or the error is among those that users
            meet (``_ADVICE``). Other errors pass as they are.
    """
    try:
        yield
    except EANError:  # a line already
        raise
    except ValueError as error:
        advice = [text for problem, text in _ADVICE.items() if problem in str(error)]
        if not advice:
            raise
        line = " ".join(str(error).split())
        raise ConfigError(f"{cfg.filename}: {line}; {advice[0]}") from error
    except (KeyError, TypeError, RuntimeError) as error:
        if not _is_about_the_config(error):
            raise
        line = str(error.args[0]).partition("\n")[0]
        line = line.partition(". Please check")[0]  # mmengine goes on with a link to its manual
        text = re.sub(
            r"(\.__init__)?\(\) got an unexpected keyword argument", " takes no argument", line
        )
        raise ConfigError(
            f"{cfg.filename}: the config does not fit: {text} (EAN_TRACEBACK=1 shows where)"
        ) from error


def _is_about_the_config(error: KeyError | TypeError | RuntimeError) -> bool:
    if isinstance(error, RuntimeError):
        # mmcv's own line says which operator is missing and what to install.
        return re.search(r"install \S*mmcv for \w+ ops", str(error)) is not None
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    if _is_builder(frames[-1]):
        return True  # the builder itself complains, or the call it makes does not fit
    keyword = re.search(r"unexpected keyword argument '(\w+)'", str(error))
    builders = [frame for frame in frames if _is_builder(frame)]
    if not (keyword and builders):
        return False
    # A class may hand its keywords on to its base, which refuses one: did the config say it?
    part = builders[-1].f_locals.values()
    return any(isinstance(value, Mapping) and keyword[1] in value for value in part)


def _is_builder(frame: FrameType) -> bool:
    """Whether this is mmengine's code that builds a part of a config."""
    name = frame.f_code.co_name
    module = frame.f_globals.get("__name__", "")
    return module.startswith("mmengine.") and (name.startswith("build_") or name == "get_instance")
