"""The formats a network is exported in: written, read back as data, and run."""

from __future__ import annotations

import os
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from inspect import signature
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from ean_transfer.errors import CheckpointError, ConfigError, EANError
from ean_transfer.io.checkpoint import read_checkpoint
from ean_transfer.ticket import Ticket, TicketError

FORMATS = {"onnx": ".onnx", "torch-export": ".pt2", "checkpoint": ".pth"}
"""Suffix of the files of each format."""
OPSET = 18
"""Version of ONNX's operators, the one that torch's exporter is written for."""
PREFIX = "ean_transfer."
"""Of the names of what is written beside the network, see :func:`read_metadata`."""

Run = Callable[[Tensor], dict[str, Tensor]]


class ExportError(EANError):
    """A network cannot be exported, or a file is not an exported one."""


def require_packages(format: str) -> None:
    """Refuse, before anything is loaded, a format whose packages are missing.

    Raises:
        ConfigError: If one is not installed.
    """
    needed = ("onnx", "onnxscript", "onnxruntime") if format == "onnx" else ()
    if missing := [name for name in needed if find_spec(name) is None]:
        raise ConfigError(
            f'the format onnx needs {" and ".join(missing)}: pip install -e ".[export]"'
        )


def export_program(network: nn.Module, image_size: tuple[int, int]) -> ExportedProgram:
    """A network as a graph, for any batch and image size.

    Args:
        network: From an argument ``image`` (N, 3, H, W) to its outputs by name.
        image_size: (H, W) of the images it is traced with.

    Raises:
        ConfigError: If torch is older than 2.9.
        ExportError: If the network's Python asks for the images' size, or does something else that
            a graph cannot.
    """
    defer = "prefer_deferred_runtime_asserts_over_guards"
    if defer not in signature(torch.export.export).parameters:
        raise ConfigError(f"expected torch 2.9 or newer for export, found {torch.__version__}")
    sizes = {0: Dim.DYNAMIC, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC}
    images = torch.zeros(2, 3, *image_size)
    with torch.no_grad(), quiet():
        try:
            program = torch.export.export(
                network,
                (images,),
                dynamic_shapes={"image": sizes},
                # What a model asserts of sizes need not be proved, here, for all of them.
                **{defer: True},  # type: ignore[arg-type]
            )
        except Exception as error:  # the exporter raises many kinds
            raise ExportError(
                f"cannot be exported for images of any size ({first_line(error)})"
            ) from error
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # paths of this machine, in each node of the file
    return program


def smallest_image(program: ExportedProgram) -> tuple[int, int]:
    """(H, W) of the smallest images that a graph holds for."""
    image = next(node.meta["val"] for node in program.graph.nodes if node.name == "image")
    lowest = (program.range_constraints[side.node.expr].lower for side in image.shape[2:])
    height, width = map(int, lowest)
    return height, width


def write_onnx(
    program: ExportedProgram, file: Path, outputs: Sequence[str], metadata: Mapping[str, str]
) -> None:
    """Write one ``.onnx`` file.

    Args:
        program: With the input ``image`` of any batch and image size.
        file: Gets everything; weights of up to 2 GB.
        outputs: Names of the outputs.
        metadata: Goes into the model's ``metadata_props``.

    Raises:
        ExportError: If an operator has no ONNX translation.
    """
    with quiet():
        try:
            model = torch.onnx.export(
                program,
                input_names=["image"],
                output_names=list(outputs),
                opset_version=OPSET,
                dynamo=True,
                dynamic_shapes={"image": {0: "batch", 2: "height", 3: "width"}},  # the names
                verbose=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            raise ExportError(f"cannot be exported as onnx ({first_line(error)})") from error
    assert model is not None
    model.model.metadata_props.update(metadata)
    model.save(str(file))


def run_onnx(file: Path) -> Run:
    """An ONNX file's network on the CPU, by onnxruntime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what fails is raised, too
    session = onnxruntime.InferenceSession(str(file), options, ["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(image: Tensor) -> dict[str, Tensor]:
        found = session.run(names, {"image": image.numpy()})
        return {name: torch.from_numpy(value) for name, value in zip(names, found, strict=True)}

    return run


def write_program(program: ExportedProgram, file: Path, metadata: Mapping[str, str]) -> None:
    """Write torch.export's ``.pt2``; the metadata are its extra files."""
    with quiet():
        torch.export.save(program, file, extra_files=dict(metadata))


def run_program(file: Path) -> Run:
    """A ``.pt2`` file's network."""
    with quiet():
        module = torch.export.load(file).module()
    run: Run = module
    return run


def read_metadata(file: str | os.PathLike[str]) -> dict[str, str]:
    """What an exported file says of itself; never runs code from it.

    Returns:
        By name: ``ean_transfer.version``, ``.task``, ``.input``, ``.outputs``; where there is one,
        ``.ticket`` (as in a ticket file) and ``.classes`` (a JSON list).

    Raises:
        ExportError: If there is no such file, or it was not exported by this toolkit.
        ConfigError: If it is none of torch's files, and onnx is not installed.
    """
    path = Path(file)
    if not path.is_file():
        raise ExportError(f"{path}: no such file")
    read = _read_zip if zipfile.is_zipfile(path) else _read_onnx
    metadata = {name: text for name, text in read(path).items() if name.startswith(PREFIX)}
    if f"{PREFIX}task" not in metadata:
        raise ExportError(f"{path}: expected a file that tools/export.py wrote, found another")
    return metadata


def exported_ticket(file: str | os.PathLike[str]) -> Ticket:
    """The ticket of the network in an exported file of any format; data only.

    Raises:
        ExportError, ConfigError: As :func:`read_metadata`.
        TicketError: If the network has no ticketed backbone, or what is there is not a ticket.
    """
    text = read_metadata(file).get(f"{PREFIX}ticket")
    if text is None:
        raise TicketError(f"{file}: the network in it was built without a ticket")
    return Ticket.from_json(text, source=str(file))


@contextmanager
def quiet() -> Iterator[None]:
    """Within: torch does not warn of its own exporter's parts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def first_line(error: BaseException) -> str:
    """Of an error, whose message may fill a screen; with what it announces by a colon."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return " ".join(line.strip() for line in lines[: 2 if lines[0].endswith(":") else 1])


def _read_zip(file: Path) -> dict[str, str]:
    """Of a ``.pt2``, or else of a checkpoint; torch writes both as zip archives."""
    with zipfile.ZipFile(file) as archive:
        found = {
            name.rpartition("/")[2]: archive.read(name).decode("utf-8", "replace")
            for name in archive.namelist()
            if f"/extra/{PREFIX}" in name
        }
    if found:
        return found
    try:
        metadata = read_checkpoint(file).get("meta", {}).get("export", {})
    except CheckpointError:
        return {}
    return {name: text for name, text in metadata.items() if isinstance(text, str)}


def _read_onnx(file: Path) -> dict[str, str]:
    require_packages("onnx")
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(str(file), load_external_data=False)
    except DecodeError:
        return {}
    return {entry.key: entry.value for entry in model.metadata_props}
