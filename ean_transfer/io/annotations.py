"""mmengine's readers of annotation files, made safe: no pickles, and YAML without Python objects.

A data set's ``ann_file`` comes with its images, often from a stranger. mmengine unpickles ``.pkl``
and builds whatever objects a ``.yaml`` names.
"""

from __future__ import annotations

from typing import Any, NoReturn

from mmengine.fileio import PickleHandler, YamlHandler
from mmengine.fileio.handlers import registry_utils, yaml_handler

from ean_transfer.errors import DataError

yaml: Any = yaml_handler.yaml  # mmengine's dependency and not ours


class _NoPickles(PickleHandler):
    """Writes pickles, which is harmless, and reads none."""

    def load_from_fileobj(self, file: Any, **kwargs: Any) -> NoReturn:
        raise DataError(
            "ann_file: expected annotations as JSON, found a pickle, which may run anything when "
            "it is read; docs/safety.md says how to turn one that you trust into JSON"
        )


class _PlainYaml(YamlHandler):
    """Reads YAML of plain data."""

    def load_from_fileobj(self, file: Any, **kwargs: Any) -> Any:
        try:
            return super().load_from_fileobj(file, **(kwargs | {"Loader": yaml.SafeLoader}))
        except yaml.YAMLError as error:
            problem = " ".join(str(error).split())
            raise DataError(f"ann_file: expected YAML of plain data, found {problem}") from None


def read_plain_data_only() -> None:
    """Replace mmengine's readers of annotation files, in this process."""
    for suffixes, handler in ((("pkl", "pickle"), _NoPickles), (("yml", "yaml"), _PlainYaml)):
        registry_utils.file_handlers.update(dict.fromkeys(suffixes, handler()))
