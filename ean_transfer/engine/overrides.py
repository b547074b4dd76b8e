"""Options of the command line, and changes of a config's variables, that would change nothing.

A config is Python, so beside the sections that programs read (``model``, ``train_dataloader``) it
has variables that only its own code reads. To set one of these from outside, or to change one after
a base has used it, has no effect. Both are refused, with the keys that have one.
"""

from __future__ import annotations

import ast
import inspect
import os.path
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner
from mmengine.utils import get_installed_path

from ean_transfer.engine.pipelines import kind_of, transforms_named, walk
from ean_transfer.errors import ConfigError

LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")
_OVERWRITTEN = {
    "resume": "--resume",
    "launcher": "--launcher NAME",
    "experiment_name": "--work-dir DIR",  # it is named after this
}
"""Name of a config that ``build_runner`` sets itself -> the switch that it goes by."""
_NOT_READ = ("cfg", "data_preprocessor", *_OVERWRITTEN)  # the second is, where no model has its own
SECTIONS = (
    *(name for name in inspect.signature(Runner).parameters if name not in _NOT_READ),
    *("compile", "find_unused_parameters", "model_wrapper_cfg", "sync_bn"),  # read by the runner
    *("search", "study", "title", "tta_model", "tta_pipeline"),  # read by ean_transfer
)
"""Names of a config that programs read; an option may set one that the config file lacks."""

_SWITCHES = {
    "max_epochs": "--epochs N",
    "max_iters": "--iters N",
    "data_root": "--data DIR",
    "num_classes": "--classes N",
    "classes": "--classes NAME ...",
    "batch_size": "--batch-size N",
    "lr": "--lr RATE",
}
"""Variable -> the switch of train, search or test that means it."""
_SHOWN = 4  # keys named in a message


def options_by_position(cfg: Config, options: dict[str, Any]) -> dict[str, Any]:
    """Options whose keys name elements of lists by their types, as mmengine takes them.

    Args:
        cfg: The config, to which the options are not applied yet.
        options: Key -> value. ``param_scheduler.LinearLR.end`` is the end of the one ``LinearLR``
            of this list, and ``pipeline.RandomCrop.crop_size`` is an option of the transform of
            this name in all data sets that have it.

    Raises:
        ConfigError: An element is not there or not the only one, or nothing reads a key.
    """
    try:
        keys = {key: list(_positions(cfg, key)) for key in options}
        for key in sum(keys.values(), []):
            _require_read(cfg, key)
    except ConfigError as error:
        raise ConfigError(f"--cfg-options: {cfg.filename}: {error}") from None
    return {key: value for name, value in options.items() for key in keys[name]}


def _positions(cfg: Config, key: str) -> Iterator[str]:
    first, _, rest = key.partition(".")
    name, _, option = rest.partition(".")
    if first == "pipeline" and option and not name.isdecimal():
        loaders = {part: cfg._cfg_dict[part] for part in LOADERS if part in cfg}
        for place, _ in transforms_named(loaders, name):
            yield f"{place}.{option}"
        return
    value: Any = cfg.to_dict()
    parts = []
    for part in key.split("."):
        if isinstance(value, list) and not part.isdecimal():
            kinds = [kind_of(item) for item in value]
            if kinds.count(part) != 1:
                raise ConfigError(
                    f"{key}: expected a position, or the type of one element, of "
                    f"{', '.join(kinds)}; found {part}"
                )
            part = str(kinds.index(part))
        parts.append(part)
        value = dict(walk(value)).get(part)
    yield ".".join(parts)


def _require_read(cfg: Config, key: str) -> None:
    """Refuse a key that no program reads.

    Raises:
        ConfigError: There is no such name, or it is a variable of the config's own code.
    """
    name, _, rest = key.partition(".")
    if name in _read_names(cfg):
        return
    if name in _OVERWRITTEN:
        raise ConfigError(f"{name!r} is set by the command line: use {_OVERWRITTEN[name]} instead")
    places = [f"{place}.{rest}" if rest else place for place in _meaning(cfg, name)]
    advice = ", ".join(places[:_SHOWN] + ["..."] * (len(places) > _SHOWN))
    if name in _SWITCHES:
        advice = f"{advice}{advice and ', or '}the switch {_SWITCHES[name]}"
    if name not in cfg:  # mmengine would add it, so a typo would change nothing without a word
        keys = {key.rpartition(".")[2]: key for key, _ in walk(_sections(cfg))}
        near = get_close_matches(name, [*SECTIONS, *keys], n=1)
        advice = advice or ", ".join(keys.get(other, other) for other in near)
        raise ConfigError(f"no {name!r}" + (f": did you mean {advice}?" if advice else ""))
    raise ConfigError(
        f"nothing reads {name!r} but the config's own code, so that setting it changes nothing: "
        f"set {advice or 'what the code makes of it'}"
    )


def _meaning(cfg: Config, name: str) -> list[str]:
    """Keys of the sections that have a variable's name or, if that is telling, its value."""
    places, value = list(walk(_sections(cfg))), cfg.to_dict().get(name)
    named = [key for key, _ in places if key.rpartition(".")[2] == name]
    if value is None or (isinstance(value, (bool, int, float)) and named):
        return named
    return list(dict.fromkeys(named + [key for key, part in places if part == value]))


def _sections(cfg: Config) -> dict[str, Any]:
    names = _read_names(cfg)
    return {name: part for name, part in cfg.to_dict().items() if name in names}


def _read_names(cfg: Config) -> set[str]:
    own = "data_preprocessor" in (cfg.get("model") or {})
    return {*SECTIONS} if own else {*SECTIONS, "data_preprocessor"}


def require_changes_used(cfg: Config) -> None:
    """Refuse a config that changes a variable which its base has already used.

    ``train_pipeline[3].update(...)`` changes nothing: the base's data set has its own copy.

    Raises:
        ConfigError: A part, such as a pipeline, was changed, the sections still have it as it is
            in the base, and have the changed one nowhere.
    """
    before = _base_values(Path(cfg.filename or ""))
    used = [(key, part) for key, part in walk(_sections(cfg)) if part and _is_part(part)]
    for name, value in cfg.to_dict().items():
        old = before.get(name)
        if name in SECTIONS or not (old and _is_part(old)) or value == old:
            continue
        places = [key for key, part in used if part == old]
        if places and not any(part == value for _, part in used):
            advice = f", or call change_transform for {places[0].partition('.')[0]}"
            raise ConfigError(
                f"{cfg.filename}: {name} was changed, but {places[0]} still has it as it was read "
                f"from the base: set {places[0]} itself{advice if isinstance(old, list) else ''}"
            )


def _is_part(value: Any) -> bool:
    """Whether this is a part that is built from a ``type``, or a list of such."""
    if isinstance(value, list):
        return all(kind_of(item) for item in value)
    return bool(kind_of(value))


def _base_values(file: Path) -> dict[str, Any]:
    """The variables that a config's file reads from its bases."""
    if file.suffix != ".py":
        return {}
    body = ast.parse(file.read_text("utf-8")).body
    block = next((node.body for node in body if isinstance(node, ast.With)), [])  # read_base()
    values: dict[str, Any] = {}
    for node in block:
        if isinstance(node, ast.ImportFrom):
            values |= Config.fromfile(_base_file(file, node), lazy_import=True).to_dict()
    return values


def _base_file(file: Path, node: ast.ImportFrom) -> str:
    """The file of a base, found as mmengine finds it."""
    parts = (node.module or "").split(".")
    if node.level:
        folder = os.path.join(file.parent, *[".."] * (node.level - 1))
    else:
        folder = get_installed_path(parts.pop(0))
    return os.path.join(folder, *parts) + ".py"
