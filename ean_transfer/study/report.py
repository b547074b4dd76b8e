"""A study as one HTML page that needs no other file."""

from __future__ import annotations

import base64
import csv
import io
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from ean_transfer.engine.metrics import higher_is_better
from ean_transfer.io.files import write_atomically
from ean_transfer.io.tables import markdown
from ean_transfer.search.verdict import Verdict
from ean_transfer.study import scatter, strip
from ean_transfer.study.claims import claim_rows, figures, terms
from ean_transfer.study.jobs import run_folder
from ean_transfer.study.result import StudyResult
from ean_transfer.study.scatter import Scatter, scatter_of
from ean_transfer.study.searches import search_folder
from ean_transfer.study.strip import strip_of


@dataclass(frozen=True)
class _Picture:
    caption: str
    data: str  # a data: URL


@dataclass(frozen=True)
class _TaskPart:
    heading: str
    table: list[list[str]]
    scatters: list[tuple[str, Scatter]]  # how it was timed, drawing
    gallery: list[list[_Picture]]
    legend: _Picture | None


def write_report(result: StudyResult, work_dir: Path, title: str, command: str = "") -> Path:
    """Write the page ``index.html``, its tables as ``results.md``, and all runs as ``runs.csv``.

    The page shows the verdicts, every arm's mask, the tables, metrics against time, the search's
    curves, predictions of every arm, and how to repeat the study.

    Args:
        result: The study's results.
        work_dir: The study's folder, from which the pictures are taken.
        title: The page's heading.
        command: What repeats the study, for the page's end.

    Returns:
        The page's path.
    """
    environment = Environment(
        loader=PackageLoader("ean_transfer.study"), autoescape=True, undefined=StrictUndefined
    )
    curves = search_folder(work_dir, "ticket") / "search.png"
    seed = result.plan.seeds[0]
    tasks = [
        _TaskPart(
            heading=f"{name.capitalize()}: {task.label}",
            table=result.task_rows(name),
            scatters=_scatters(result, name),
            gallery=_gallery(result, work_dir, name, seed),
            legend=_legend(run_folder(work_dir, name, result.plan.compared[0], seed)),
        )
        for name, task in result.plan.tasks.items()
    ]
    page = environment.get_template("report.html").render(
        title=title,
        command=command,
        result=result,
        ticket=result.ticket,
        masks=_masks_of(result),
        table=result.rows(),
        plan=result.plan,
        curves=_embed(curves) if curves.exists() else None,
        search_verdict=verdict_lines(work_dir),
        verdicts=[(one, figures(one), strip_of(one)) for one in result.verdicts],
        terms=terms(result.verdicts),
        strip_width=strip.WIDTH,
        scatter_size=(scatter.WIDTH, scatter.HEIGHT, scatter.LEFT, scatter.BOTTOM),
        tasks=tasks,
    )
    file = work_dir / "index.html"
    write_atomically(file, page)
    parts = [("Results", result.rows())] + [(part.heading, part.table) for part in tasks]
    tables = (f"### {heading}\n\n{markdown(rows)}" for heading, rows in parts)
    first = f"**{result.doubt}**\n\n" if result.doubt else ""
    text = "\n".join([f"{first}## {title}\n", _verdicts_text(result), *tables])
    write_atomically(work_dir / "results.md", text)
    write_atomically(work_dir / "runs.csv", runs_table(result))
    return file


def _verdicts_text(result: StudyResult) -> str:
    """The verdicts and what they rest on, in Markdown."""
    table = markdown(claim_rows(result.verdicts)) + "\n" if result.verdicts else ""
    lines = "\n".join([terms(result.verdicts), *result.stated])
    fixed = "\n".join(f"- {source}" for source in result.fixed)
    return f"### Verdicts\n\n{table}{lines}\n\nThe same for every seed:\n\n{fixed}\n"


def _scatters(result: StudyResult, task: str) -> list[tuple[str, Scatter]]:
    """A task's metric against time, as measured and after ``torch.compile``, where it was timed."""
    kinds = {"eager": result.increments, "compiled": result.compiled_increments}
    metrics, parameters = result.metrics[task], result.attention_parameters
    higher = higher_is_better(result.plan.tasks[task].metric) is not False
    drawn = {
        how: scatter_of(metrics, of_arms, parameters, higher) for how, of_arms in kinds.items()
    }
    return [(how, drawing) for how, drawing in drawn.items() if drawing is not None]


def _masks_of(result: StudyResult) -> list[tuple[str, list[str]]]:
    """Title of each arm and its mask, one text of 0 and 1 per stage; of random arms the first."""
    runs = next(iter(result.runs.values()))
    first = result.plan.seeds[0]
    return [
        (
            f"{arm.title} (seed {first}, another for each)" if arm.kind == "random" else arm.title,
            of_arm[0].ticket.split(),
        )
        for arm, of_arm in runs.items()
    ]


def runs_table(result: StudyResult) -> str:
    """Every number of every run as CSV, one number per row, to be read by other programs."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["task", "arm", "seed", "mask", "number", "value"])
    for task, arms in result.runs.items():
        for arm, runs in arms.items():
            for run in runs:
                for name, value in run.numbers.items():
                    table.writerow([task, arm.title, run.seed, run.ticket, name, value])
    return text.getvalue()


def verdict_lines(work_dir: Path) -> list[str]:
    """What the study's search has shown, what to beware of, and what would help; empty without one.

    Args:
        work_dir: The study's folder.
    """
    file = search_folder(work_dir, "ticket") / "verdict.json"
    if not file.exists():
        return []
    verdict = Verdict.load(file)
    return [verdict.summary, *verdict.warnings, *verdict.advice]


def _gallery(result: StudyResult, work_dir: Path, task: str, seed: int) -> list[list[_Picture]]:
    """One row per test image: the truth if there is one, then each arm's prediction."""
    folders = {
        arm.title: run_folder(work_dir, task, arm, seed) / "samples" for arm in result.plan.compared
    }
    first = next(iter(folders.values()))
    rows = []
    predictions = {int(file.name.split("_")[0]): file for file in first.glob("*_prediction.png")}
    for index, prediction in sorted(predictions.items()):
        truth = first / f"{index}_truth.png"
        row = [_Picture("truth", _embed(truth))] if truth.exists() else []
        row += [
            _Picture(title, _embed(folder / prediction.name))
            for title, folder in folders.items()
            if (folder / prediction.name).exists()
        ]
        rows.append(row)
    return rows


def _legend(run: Path) -> _Picture | None:
    file = run / "samples" / "legend.png"
    return _Picture("legend", _embed(file)) if file.exists() else None


def _embed(file: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(file.read_bytes()).decode()
