"""The file formats of an export: write a network, run the file, read what it says of itself."""

from __future__ import annotations

import io
import os
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from importlib.util import find_spec
from inspect import signature
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from ean_transfer.errors import CheckpointError, ConfigError, EANError
from ean_transfer.io.checkpoint import read_checkpoint
from ean_transfer.ticket import Ticket, TicketError

Format = Literal["onnx", "torch-export", "checkpoint"]
FORMATS: dict[str, str] = {"onnx": ".onnx", "torch-export": ".pt2", "checkpoint": ".pth"}
"""File suffix of each format."""
OPSET = 18
"""Version of ONNX's operators, the one that torch's exporter is written for."""
PREFIX = "ean_transfer."
"""Start of the names of a file's metadata, see :func:`read_metadata`."""

Run = Callable[[Tensor], dict[str, Tensor]]
"""From images (N, 3, H, W) float32, RGB, 0..255, to the outputs by name."""

_DEFER = "prefer_deferred_runtime_asserts_over_guards"  # an option that torch 2.9 brought


class ExportError(EANError):
    """A network cannot be exported, or a file is not an exported one."""


@contextmanager
def failing_as(problem: str, kind: type[EANError] = ExportError) -> Iterator[None]:
    """Silence what torch says of its own exporter; make an :class:`EANError` of any error.

    torch's exporters and the runtimes raise many kinds of errors, with messages of many lines.

    Args:
        problem: Start of the message, which ends with the first line of the error's own.
        kind: Class of the error.
    """
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            yield
        except Exception as error:
            raise kind(f"{problem} ({_first_line(error)})") from error


def require_packages(format: str) -> None:
    """Refuse a format whose packages are missing.

    Raises:
        ConfigError: A package is not installed, or torch is older than 2.9.
    """
    packages = ("onnx", "onnxscript", "onnxruntime") if format == "onnx" else ()
    missing = [name for name in packages if find_spec(name) is None]
    if format != "checkpoint" and _DEFER not in signature(torch.export.export).parameters:
        missing.append("torch 2.9 or newer")
    if missing:
        needs = " and ".join(missing)
        raise ConfigError(f'the format {format} needs {needs}: pip install -e ".[export]"')


def export_program(
    network: nn.Module,
    image_size: tuple[int, int],
    static: tuple[int, int, int] | None = None,
) -> ExportedProgram:
    """A network as a graph, for any batch and image size or for one.

    Args:
        network: Module from an argument ``image`` (N, 3, H, W) to its outputs by name. Its Python
            must not ask for the images' size or values, unless the size is fixed.
        image_size: (H, W) of the images it is traced with.
        static: (N, H, W) of the only batch that it takes.
    """
    # Two images: of one, torch would take the batch size for a constant.
    batch, height, width = static or (2, *image_size)
    free = None if static else {"image": {0: Dim.DYNAMIC, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC}}
    with torch.no_grad():
        program = torch.export.export(
            network,
            (torch.zeros(batch, 3, height, width),),
            dynamic_shapes=free,
            # What a model asserts of sizes is checked when the graph runs, not proved here for all.
            **{_DEFER: True},  # type: ignore[arg-type]
        )
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # paths of this machine, in each node of the file
    return program


def smallest_image(program: ExportedProgram) -> tuple[int, int]:
    """(H, W) of the smallest images that a graph of any size holds for."""
    image = next(node.meta["val"] for node in program.graph.nodes if node.name == "image")
    lowest = (program.range_constraints[side.node.expr].lower for side in image.shape[2:])
    height, width = map(int, lowest)
    return height, width


def onnx_program(
    program: ExportedProgram, outputs: Sequence[str], opset: int = OPSET, static: bool = False
) -> torch.onnx.ONNXProgram:
    """A graph with the input ``image``, in ONNX's operators.

    Args:
        program: The graph.
        outputs: Names of its outputs.
        opset: Version of the operators.
        static: Whether the graph takes one size of batches and images only.

    Raises:
        ExportError: Some operator of the network has no form in this version.
    """
    model = torch.onnx.export(
        program,
        input_names=["image"],
        output_names=list(outputs),
        opset_version=opset,
        dynamo=True,
        # The graph has these sizes free already; here they get their names.
        dynamic_shapes=None if static else {"image": {0: "batch", 2: "height", 3: "width"}},
        verbose=False,
    )
    assert model is not None  # torch returns None only where it writes the file itself
    if (version := model.model.opset_imports.get("")) != opset:
        # torch writes what it has where it cannot convert.
        raise ExportError(f"torch gives opset {version} and cannot convert it to {opset}")
    return model


def write_onnx(model: torch.onnx.ONNXProgram, file: Path, metadata: Mapping[str, str]) -> None:
    """Write one ``.onnx`` file that holds everything, also the weights (up to 2 GB)."""
    model.model.metadata_props.update(metadata)
    model.save(str(file))


def run_onnx(file: Path) -> Run:
    """An ONNX file's network on the CPU, by onnxruntime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # only fatal messages: every error is raised as well
    session = onnxruntime.InferenceSession(str(file), options, ["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(image: Tensor) -> dict[str, Tensor]:
        outputs = session.run(names, {"image": image.numpy()})
        return {name: torch.from_numpy(value) for name, value in zip(names, outputs, strict=True)}

    return run


def write_program(program: ExportedProgram, file: Path, metadata: Mapping[str, str]) -> None:
    """Write torch.export's ``.pt2``; the metadata are its extra files."""
    torch.export.save(program, file, extra_files=dict(metadata))


def run_program(file: Path) -> Run:
    """A ``.pt2`` file's network."""
    run: Run = torch.export.load(file).module()
    return run


def read_metadata(file: str | os.PathLike[str]) -> dict[str, str]:
    """What an exported file says of itself; never runs code from it.

    Returns:
        By name: ``ean_transfer.version``, ``.task``, ``.input``, ``.outputs``; where there is one,
        ``.ticket`` (as in a ticket file) and ``.classes`` (a JSON list).

    Raises:
        ExportError: There is no such file, or this toolkit did not export it.
        ConfigError: The file may be ONNX, and onnx is not installed.
    """
    path = Path(file)
    metadata: Mapping[str, str] = {}
    if path.is_file():
        metadata = (_read_zip if zipfile.is_zipfile(path) else _read_onnx)(path)
    if f"{PREFIX}task" not in metadata:
        actual = "another" if path.exists() else "no such file"
        raise ExportError(f"{path}: expected a file that ean export wrote, found {actual}")
    return {name: text for name, text in metadata.items() if name.startswith(PREFIX)}


def exported_ticket(file: str | os.PathLike[str]) -> Ticket:
    """The ticket of the network in an exported file of any format; never runs code from it.

    Raises:
        ExportError, ConfigError: As :func:`read_metadata`.
        TicketError: The network has no ticketed backbone, or the file's ticket is malformed.
    """
    text = read_metadata(file).get(f"{PREFIX}ticket")
    if text is None:
        raise TicketError(f"{file}: the network in it was built without a ticket")
    return Ticket.from_json(text, source=str(file))


def _first_line(error: Exception) -> str:
    """The first line of a long message, with the second where the first ends in a colon."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return " ".join(line.strip() for line in lines[: 2 if lines[0].endswith(":") else 1])


def _read_zip(file: Path) -> Mapping[str, str]:
    """The metadata of a ``.pt2`` or of a checkpoint: torch writes both as zip archives."""
    with zipfile.ZipFile(file) as archive:
        extra_files = {
            name.rpartition("/")[2]: archive.read(name).decode("utf-8", "replace")
            for name in archive.namelist()
            if f"/extra/{PREFIX}" in name
        }
    if extra_files:
        return extra_files
    try:
        metadata = read_checkpoint(file).get("meta", {}).get("export", {})
    except CheckpointError:
        return {}
    return {name: text for name, text in metadata.items() if isinstance(text, str)}


def _read_onnx(file: Path) -> Mapping[str, str]:
    require_packages("onnx")
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(str(file), load_external_data=False)
    except DecodeError:
        return {}
    return {entry.key: entry.value for entry in model.metadata_props}
