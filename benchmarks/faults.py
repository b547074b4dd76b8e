"""What kills, torn files and flipped bits do to toy runs: resumed exactly, or refused by name.

A run is done in a forked process, killed there or its files damaged, and then resumed. Its result
must be that of the run that nothing happened to (``exact``), or it must end with a line that says
what is wrong (``refused``). Anything else is a fault (``wrong``): another result, or a traceback.
"""

from __future__ import annotations

import json
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from benchmarks.fault_cases import CASES, Case
from ean_transfer.errors import EANError
from ean_transfer.io.checkpoint import read_checkpoint
from ean_transfer.search.resume import SavedSearch
from ean_transfer.search.strategies.base import build_strategy
from ean_transfer.ticket import Ticket

EXACT, REFUSED, WRONG = "exact", "refused", "wrong"
# Files that a run leaves and nothing resumes from: they are damaged as well, as one kind.
_LOGS = re.compile(r"\.log$|/vis_data/|\.py$|/\d{8}_\d{6}/|\.png$|\.md$|\.html$|\.csv$|/samples/")


@dataclass(frozen=True)
class Trial:
    """What was done to a run, and how it came out.

    Attributes:
        case: Name of the run.
        what: Name of what was done: the signal, ``cut`` or ``empty``.
        where: The moment of a kill, or the kind of file that was damaged.
        outcome: ``exact``, ``refused`` or ``wrong``.
        message: The last line of what the resumed run wrote, unless it is exact.
        after_remedy: The outcome once the file that the message says was deleted.
    """

    case: str
    what: str
    where: str
    outcome: str
    message: str = ""
    after_remedy: str = ""


@dataclass(frozen=True)
class Kill:
    """When and how a run is killed: after some seconds, or where it changes files.

    Attributes:
        signal: The signal; SIGXFSZ stands for a kill in the middle of writing a file.
        seconds: Seconds after the start.
        operation: Number of the run's file operation before which it is killed.
        size: Bytes after which writing a file kills it.
        label: The moment in words.
    """

    signal: signal.Signals
    label: str
    seconds: float | None = None
    operation: int | None = None
    size: int | None = None


# -- runs in processes of their own -----------------------------------------------------------


def _watch_files(folder: Path, act: Callable[[int, str], None]) -> None:
    """Call ``act(number, label)`` before each operation of this process that changes a folder."""
    count = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if event == "open":
            path, mode, flags = arguments
            if not (set(mode or "") & set("wax+") or flags & (os.O_WRONLY | os.O_RDWR)):
                return
        elif event in ("os.rename", "os.remove"):
            path = arguments[1] if event == "os.rename" else arguments[0]
        else:
            return
        if isinstance(path, int) or not str(path).startswith(str(folder)):
            return
        name = re.sub(r"\.\d+\.partial", ".partial", os.path.relpath(path, folder))
        if _LOGS.search(f"/{name}"):
            return
        count += 1
        act(count, f"{event.removeprefix('os.')} {name}")

    sys.addaudithook(hook)


def _in_child(case: Case, folder: Path, kill: Kill | None, operations: Path | None) -> int:
    """The body of a forked process: do or continue the run; its exit code."""
    if operations is not None:
        stream = operations.open("a")
        _watch_files(folder, lambda number, label: print(label, file=stream, flush=True))
    if kill is not None and kill.operation is not None:

        def die(number: int, label: str) -> None:
            if number == kill.operation:
                os.kill(os.getpid(), kill.signal)

        _watch_files(folder, die)
    if kill is not None and kill.size is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (kill.size, resource.RLIM_INFINITY))
    try:
        case.run(folder)
    except (EANError, OSError, SystemExit, KeyboardInterrupt) as error:
        print(f"{type(error).__name__}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


def run_in_process(
    case: Case, folder: Path, kill: Kill | None = None, operations: Path | None = None
) -> tuple[int, str]:
    """Do or continue a run in a forked process; return its exit code and its last line.

    Args:
        case: The run.
        folder: Its work dir.
        kill: When it is killed, if it is.
        operations: File that its file operations are written to.
    """
    log = folder.with_suffix(".out")
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        code = 1
        with log.open("w") as stream, redirect_stdout(stream), redirect_stderr(stream):
            try:
                torch.set_num_threads(1)
                code = _in_child(case, folder, kill, operations)
            except BaseException as error:  # noqa: BLE001 - what it is decides the outcome
                print(f"traceback: {error!r}", file=stream)
            finally:
                stream.flush()
                os._exit(code)
    if kill is not None and kill.seconds is not None:
        time.sleep(kill.seconds)
        os.kill(child, kill.signal)  # one that has ended is still there until it is waited for
    _, status = os.waitpid(child, 0)
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return os.waitstatus_to_exitcode(status), lines[-1] if lines else ""


def _resumed(case: Case, folder: Path, expected: Any) -> tuple[str, str]:
    """Resume a run; its outcome, and its last line unless that is exact."""
    code, line = run_in_process(case, folder)
    line = line.replace(str(folder.parent), "...")[:300]
    if code == 2 and line:
        return REFUSED, line
    if code != 0:
        return WRONG, f"exit code {code}: {line}"
    try:
        result = case.result(folder)
    except (EANError, OSError, ValueError, KeyError) as error:
        return WRONG, f"no result: {error!r:.200}"
    return (EXACT, "") if result == expected else (WRONG, "another result")


# -- kills ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reference:
    """A run that nothing happened to: its folder, result, seconds and file operations."""

    case: Case
    folder: Path
    result: Any
    seconds: float
    operations: Sequence[str]


def reference(case: Case, folder: Path) -> Reference:
    """Do a run without any fault.

    Raises:
        RuntimeError: The run failed.
    """
    listed, start = folder.with_suffix(".operations"), time.perf_counter()
    code, line = run_in_process(case, folder, operations=listed)
    if code != 0:
        raise RuntimeError(f"{case.name} ended with exit code {code}: {line}")
    seconds = time.perf_counter() - start
    return Reference(case, folder, case.result(folder), seconds, listed.read_text().splitlines())


def kills(whole: Reference, number: int, rng: random.Random) -> Iterator[Trial]:
    """Kill a run at random, between its file operations and while it writes; resume each."""
    signals = [signal.SIGKILL, signal.SIGTERM]
    for index in range(number):
        how, sent = index % 3, signals[index // 3 % 2]
        if how == 0:
            at = rng.uniform(0.1, 0.95) * whole.seconds
            kill = Kill(sent, "at random", seconds=at)
        elif how == 1 or not whole.case.checkpoint:
            # Each kind of operation is as likely as any other, however often it occurs.
            label = rng.choice(sorted(set(whole.operations)))
            places = [n for n, name in enumerate(whole.operations, 1) if name == label]
            kill = Kill(sent, f"before {label}", operation=rng.choice(places))
        else:
            size = max(file.stat().st_size for file in whole.folder.rglob("*.pth"))
            at = rng.randrange(size // 2, size)
            kill = Kill(signal.SIGXFSZ, "while a checkpoint is written", size=at)
        folder = whole.folder.with_name(f"{whole.case.name}_killed")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        run_in_process(whole.case, folder, kill)
        outcome, message = _resumed(whole.case, folder, whole.result)
        left = [file.name for file in folder.rglob("*.partial*")]
        if left and outcome == EXACT:
            outcome, message = WRONG, f"left behind: {left}"
        yield Trial(whole.case.name, kill.signal.name, kill.label, outcome, message)


# -- torn files -------------------------------------------------------------------------------


def kind_of(file: Path) -> str:
    """The kind of a run folder's file."""
    if _LOGS.search(f"/{file}"):
        return "logs, configs, pictures, tables"
    return re.sub(r"\d+(\.\d+)?", "N", file.name)


def tears(whole: Reference, per_kind: int, rng: random.Random) -> Iterator[Trial]:
    """Cut off or empty each kind of file of a stopped and of a finished run; resume each."""
    stopped = whole.folder.with_name(f"{whole.case.name}_stopped")
    stopped.mkdir()
    late = 1 + int(0.7 * len(whole.operations))
    run_in_process(whole.case, stopped, Kill(signal.SIGKILL, "late", operation=late))
    torn = whole.folder.with_name(f"{whole.case.name}_torn")
    for source in (stopped, whole.folder):
        files: dict[str, list[Path]] = {}
        for file in sorted(source.rglob("*")):
            if file.is_file() and file.stat().st_size:
                files.setdefault(kind_of(file.relative_to(source)), []).append(file)
        for kind, of_kind in files.items():
            for _ in range(per_kind):
                file = rng.choice(of_kind)
                length = 0 if rng.random() < 0.4 else rng.randrange(file.stat().st_size)
                shutil.rmtree(torn, ignore_errors=True)
                shutil.copytree(source, torn)
                damaged = torn / file.relative_to(source)
                os.truncate(damaged, length)
                outcome, message = _resumed(whole.case, torn, whole.result)
                state = "finished" if source is whole.folder else "stopped"
                what = f"{'empty' if length == 0 else 'cut'}, {state}"
                after = _after_remedy(whole, torn, damaged, message) if outcome == REFUSED else ""
                yield Trial(whole.case.name, what, kind, outcome, message, after)


def _after_remedy(whole: Reference, folder: Path, damaged: Path, message: str) -> str:
    """The outcome once the file is deleted that a message says, if it says one."""
    advised = re.search(r"delete (it|search_state\.json)\b", message)
    if advised is None:
        return ""
    files = [damaged] if advised[1] == "it" else list(folder.rglob(advised[1]))
    for file in files:
        file.unlink()
    return _resumed(whole.case, folder, whole.result)[0]


# -- flipped bits -----------------------------------------------------------------------------


def flips(
    file: Path, read: Callable[[Path], Any], number: int, rng: random.Random, other: str = WRONG
) -> list[str]:
    """Flip one bit of a file at a time and read it; the outcomes.

    Args:
        file: The file, whole again at the end.
        read: Function that reads it, or what it belongs to.
        number: Number of flips.
        rng: Generator of the draws.
        other: Name of the outcome where something else was read.
    """
    whole, expected = file.read_bytes(), read(file)
    outcomes = []
    for _ in range(number):
        flipped = bytearray(whole)
        flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
        file.write_bytes(flipped)
        try:
            outcomes.append(EXACT if _same(read(file), expected) else other)
        except EANError:
            outcomes.append(REFUSED)
        except Exception:  # a traceback
            outcomes.append(WRONG)
    file.write_bytes(whole)
    return outcomes


def _same(first: Any, second: Any) -> bool:
    """Whether two things read from files are equal, tensors by their values."""
    if isinstance(first, torch.Tensor):
        return isinstance(second, torch.Tensor) and torch.equal(first, second)
    if isinstance(first, dict):
        return (
            isinstance(second, dict)
            and first.keys() == second.keys()
            and all(_same(value, second[key]) for key, value in first.items())
        )
    if isinstance(first, (list, tuple)):
        return len(first) == len(second) and all(map(_same, first, second))
    if hasattr(first, "_log_history"):  # mmengine's buffers have no equality
        return bool((first._log_history == second._log_history).all())
    return bool(first == second)


def _read_search(folder: Path) -> Callable[[Path], Any]:
    """A reader of a search's trace and state, as a resumed search reads them."""
    settings = json.loads((folder / "search_state.json").read_text())["settings"]

    def read(_: Path) -> Any:
        spec = {"type": settings["strategy"], **settings["strategy_options"]}
        strategy = build_strategy(spec, (2, 2, 2), settings["seed"])
        return SavedSearch(folder, settings).restore(strategy), strategy.state_dict()

    return read


# -- all of it --------------------------------------------------------------------------------


def try_faults(
    *,
    runs: Sequence[str] = tuple(CASES),
    number_of_kills: int,
    tears_per_kind: int,
    number_of_flips: int,
    seed: int = 0,
) -> dict[str, Any]:
    """Kill, tear and flip; return every trial and their sums.

    Args:
        runs: Names of the runs.
        number_of_kills: Number of kills, divided evenly among the kinds of runs.
        tears_per_kind: Number of damaged files per kind of file, run, and state of the run.
        number_of_flips: Number of flipped bits per kind of file.
        seed: Seed of all draws.
    """
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary).resolve()
        with get_context("fork").Pool(len(runs)) as pool:
            shares = [
                (name, root, number_of_kills // len(runs), tears_per_kind, f"{seed} {name}")
                for name in runs
            ]
            trials = pool.starmap(_try_case, shares, chunksize=1)
        killed = [trial for of_case, _ in trials for trial in of_case]
        torn = [trial for _, of_case in trials for trial in of_case]
        readers: dict[Path, tuple[Callable[[Path], Any], str]] = {}
        if "training" in runs:
            readers[root / "training/epoch_3.pth"] = (read_checkpoint, WRONG)
        if "search" in runs:
            search = root / "search"
            # A ticket may be written by hand, so another mask is another ticket, with another id.
            readers[search / "ticket.json"] = (lambda file: Ticket.load(file).id, "another id")
            for name in ("trace.jsonl", "search_state.json"):
                readers[search / name] = (_read_search(search), WRONG)
        flipped = {
            file.name: Counter(flips(file, read, number_of_flips, rng, other))
            for file, (read, other) in readers.items()
        }
    return {
        "seed": seed,
        "kills": _sums(killed, lambda trial: trial.what),
        "torn": _sums(torn, lambda trial: trial.where),
        "flipped": {name: dict(counts) for name, counts in flipped.items()},
        "trials": [
            {key: value for key, value in asdict(trial).items() if value}
            for trial in (*killed, *torn)
        ],
    }


def _try_case(
    name: str, root: Path, number_of_kills: int, tears_per_kind: int, seed: str
) -> tuple[list[Trial], list[Trial]]:
    """Kill and tear one kind of run."""
    rng, whole = random.Random(seed), reference(CASES[name](root), root / name)
    killed = list(_shown(kills(whole, number_of_kills, rng)))
    torn = list(_shown(tears(whole, tears_per_kind, rng))) if tears_per_kind else []
    return killed, torn


def _shown(trials: Iterator[Trial]) -> Iterator[Trial]:
    for trial in trials:
        words = f"{trial.case}: {trial.what}, {trial.where}: {trial.outcome} {trial.message}"
        print(f"{words} {trial.after_remedy}".strip(), flush=True)
        yield trial


def _sums(trials: Sequence[Trial], kind: Callable[[Trial], str]) -> dict[str, dict[str, int]]:
    """Kind -> outcome -> number of trials; those that a remedy made exact among the refused."""
    sums: dict[str, Counter[str]] = {}
    for trial in trials:
        counts = sums.setdefault(kind(trial), Counter())
        counts[trial.outcome] += 1
        if trial.after_remedy:
            counts[f"{trial.after_remedy} after the remedy"] += 1
    return {name: dict(counts) for name, counts in sorted(sums.items())}
