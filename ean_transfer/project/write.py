"""Writes a project: ordinary configs of a few lines, to be read and edited."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from ean_transfer.errors import ConfigError
from ean_transfer.io.files import require_writable, write_atomically

if TYPE_CHECKING:  # with torch, and require_new() is called before its import
    from ean_transfer.project.choices import Choices
    from ean_transfer.project.data import Data, TaskName
    from ean_transfer.project.splits import Splits

_METRICS = {
    "classification": ("accuracy/top1", "accuracy (%)"),
    "segmentation": ("mIoU", "mIoU (%)"),
    "counting": ("MAE", "MAE (objects)"),
}
_PARTS = {
    "classification": "",
    "segmentation": "_segmentation",
    "counting": "_counting",
}  # ends of the names of the bases for supernets and searches
_HERE = "from os.path import abspath, dirname"  # a project that is moved or copied finds itself
FILES = ("train.py", "supernet.py", "search.py", "study.py")


def require_new(folder: Path) -> None:
    """Refuse a folder that holds a project, or that cannot be written.

    Raises:
        ConfigError: It does, or cannot.
    """
    require_writable(folder / FILES[0])
    if taken := [name for name in FILES if (folder / name).exists()]:
        raise ConfigError(
            f"{folder}: expected a new folder, found {', '.join(taken)} in it; choose another "
            "--out-dir, or delete them"
        )


def write_project(
    folder: Path,
    task: TaskName,
    data: Data,
    splits: Splits,
    choices: Choices,
    steps: int,
    seeds: int = 1,
) -> None:
    """Write a project's configs and lists of images.

    Args:
        folder: The project's folder; it may exist, but not hold a project.
        task: The task.
        data: What the data's folder holds.
        splits: The parts of the images.
        choices: What the configs say.
        steps: Steps of the search.
        seeds: Number of seeds that each arm is trained with.

    Raises:
        ConfigError: The folder holds a project.
    """
    root = folder.resolve()
    require_new(root)
    splits.write(root / "splits")
    for name, text in {
        "train.py": _train(root, task, data, splits, choices),
        "supernet.py": _supernet(root, task, choices),
        "search.py": _search(root, task, choices, steps),
        "study.py": _study(root, task, data, choices, seeds),
    }.items():
        write_atomically(root / name, text)


def _train(root: Path, task: TaskName, data: Data, splits: Splits, choices: Choices) -> str:
    folder, val, why = data.train, data.val or data.train, choices.why
    kept = f", {splits.groups} groups kept together" if splits.groups else ""
    of_task: dict[TaskName, dict[str, Any]] = {
        "classification": {"classes": [*folder.classes]},
        "segmentation": {"metainfo": {"classes": [*folder.classes]}},
        "counting": {},
    }
    arguments = of_task[task] | dict(data.options)
    lines = [
        'splits = f"{dirname(abspath(__file__))}/splits"'
        f"  # {len(splits.train)} images to train on, {len(splits.val)} to test on{kept}",
        f"data = {arguments!r}",
        f'train_dataloader["dataset"].update(data, data_root={str(folder.root)!r}, '
        'split=f"{splits}/train.txt")',
        f'test_dataloader["dataset"].update(data, data_root={str(val.root)!r}, '
        'split=f"{splits}/val.txt")',
        f"train_dataloader.update(batch_size={choices.batch}, num_workers={choices.workers})"
        f"  # {why['batch']}",
        f'model["backbone"].update(model={choices.network!r}, weights={choices.weights!r}, '
        f"attention={choices.attention!r})  # {why['network']}",
        f'model["data_preprocessor"].update(mean={[*choices.mean]}, std={[*choices.std]})'
        f"  # {why['colours']}",
        f"max_iters = {choices.iterations}  # {why['iterations']}",
        *_of_task(task, data, choices),
        "val_dataloader = test_dataloader  # for the log only: the last iteration counts",
        "train_cfg.update(max_iters=max_iters, val_interval=max_iters)",
        f"param_scheduler[0].update(end={choices.warm_up})  # warm-up",
        f"param_scheduler[1].update(begin={choices.warm_up}, end=max_iters)  # decay",
    ]
    number = f"{folder.number} images of {folder.root}"
    command = f"ean train {quote(str(root / 'train.py'))} --ticket full"
    base = f"ean_transfer.configs.own.{task}"
    network = f"{choices.network} with {choices.attention}"
    return _config(f"{number}: {network}.\n\n{command}\n", [base], lines, [_HERE])


def _of_task(task: TaskName, data: Data, choices: Choices) -> list[str]:
    """The lines that one task alone has."""
    size, why, weights = choices.size, choices.why, [*data.train.weights]
    number = len(data.train.classes)
    uneven = "  # the classes are uneven"
    if task == "classification":
        edge = 32 * round(size / 0.875 / 32)
        return [
            f'model["head"].update(num_classes={number})',
            *([f'model["head"]["loss"].update(class_weight={weights}){uneven}'] if weights else []),
            f'change_transform(train_dataloader, "RandomResizedCrop", scale={size})'
            f"  # {why['size']}",
            f'change_transform(test_dataloader, "ResizeEdge", scale={edge})',
            f'change_transform(test_dataloader, "CenterCrop", crop_size={size})',
        ]
    if task == "segmentation":
        head = 'model["decode_head"]'
        weighted = f"class_weight={weights}, avg_non_ignore=False"  # mmseg's has no way for both
        return [
            f"{head}.update(num_classes={number})",
            *([f'{head}["loss_decode"].update({weighted}){uneven}'] if weights else []),
            f'model["data_preprocessor"].update(size={(size, size)})',
            f'change_transform(train_dataloader, "RandomCrop", crop_size={(size, size)})'
            f"  # {why['size']}",
            f'change_transform(train_dataloader, "RandomResize", scale={choices.scale}, '
            "ratio_range=(0.75, 1.5))",
            f'change_transform(test_dataloader, "Resize", scale={choices.scale})',
        ]
    return [
        f'change_transform(train_dataloader, "RandomCrop", height={size}, width={size})'
        f"  # {why['size']}",
        f'change_transform(train_dataloader, "DensityMap", sigma={choices.sigma})'
        f"  # {why['sigma']}",
        f'model["head"].update(initial=100 * stride**2 * {choices.density:.3g})'
        f"  # density x 100 at the start: {why['density']}",
        "custom_hooks[1].update(begin=max_iters * 17 // 20)  # BatchNorm is fixed",
    ]


def _supernet(root: Path, task: TaskName, choices: Choices) -> str:
    lines = [
        'model["backbone"].update(ticket="full")',
        'train_dataloader["dataset"].update(split=f"{splits}/supernet.txt")',
        "# Masks are scored on images that train neither the supernet nor are tested on.",
        'val_dataloader["dataset"].update(data_root=train_dataloader["dataset"]["data_root"], '
        'split=f"{splits}/search.txt")',
        *_scoring(task, choices),
        "val_dataloader.update(batch_size=8)  # which BatchNorm normalises together",
        "custom_hooks = [dict(type=ChannelsLastHook), dict(type=RandomMaskHook)]",
    ]
    bases = [".train", f"ean_transfer.configs._base_.supernet{_PARTS[task]}"]
    imports = ["from ean_transfer.engine.hooks import ChannelsLastHook, RandomMaskHook"]
    command = f"ean train {quote(str(root / 'supernet.py'))}"
    title = "The network of train.py with attention everywhere, trained under random masks."
    return _config(f"{title}\n\n{command}\n", bases, lines, imports)


def _scoring(task: TaskName, choices: Choices) -> list[str]:
    """The lines of a supernet that make batches of images on which masks are scored."""
    size = choices.size
    if task == "classification":
        return []  # its test images have one size
    changes = {
        "segmentation": [f'change_transform(val_dataloader, "Resize", scale={choices.scale})'],
        "counting": [
            f'change_transform(val_dataloader, "CenterCrop", height={size}, width={size})',
            f'change_transform(val_dataloader, "DensityMap", sigma={choices.sigma})',
        ],
    }[task]
    return [
        'val_dataloader["dataset"].update(pipeline=scoring_pipeline)  # images of one size',
        *changes,
    ]


def _search(root: Path, task: TaskName, choices: Choices, steps: int) -> str:
    lines = [f"search.update(steps={steps})"]
    if choices.budget:
        lines.append(f'search["reward"].update(constraint={choices.budget!r})')
    bases = [".supernet", f"ean_transfer.configs._base_.search{_PARTS[task]}"]
    title = "Search where the network of train.py needs attention."
    return _config(f"{title}\n\nean search {quote(str(root / 'search.py'))}\n", bases, lines)


def _study(root: Path, task: TaskName, data: Data, choices: Choices, seeds: int) -> str:
    metric, label = _METRICS[task]
    network = choices.network.partition(":")[2]
    title = f"{data.train.root.name}: {network}, {choices.attention}"
    opening = (
        f"Search a ticket, and compare none, full and the ticket.\n\nean run {quote(str(root))}\n"
    )
    return f"""{_docstring(opening)}

title = {title!r}
study = dict(
    search="{{{{ fileDirname }}}}/search.py",  # mmengine puts in this file's folder
    tasks=dict(
        {task}=dict(config="{{{{ fileDirname }}}}/train.py", metric={metric!r}, label={label!r}),
    ),
    seeds={tuple(range(seeds))},  # more seeds tell smaller differences from luck
    claims=[
        dict(better="ticket", than="none"),
        dict(as_good_as="full", arm="ticket", margin={choices.margin:g}),  # less does not matter
    ],
    image_size={choices.size},  # of the input that the arms' time is measured on
    batch_size={choices.batch},
)
"""


def _docstring(text: str) -> str:
    """A text as a docstring; folders may have any name, and Windows' have backslashes."""
    escaped = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    return f'"""{escaped}"""'


def _config(
    title: str, bases: Sequence[str], lines: Sequence[str], imports: Sequence[str] = ()
) -> str:
    """The text of a config."""
    text = [_docstring(title), "", "from mmengine.config import read_base", "", "with read_base():"]
    text += [f"    from {base} import *" for base in bases]
    text += ["", *imports, *([""] if imports else []), *lines, ""]
    return "\n".join(text)
