"""What a folder of the study on a network of one's own is judged to show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import own_network_results
from benchmarks.ground_truth import sampled_masks
from benchmarks.own_network import compared_masks
from benchmarks.own_network_judge import Folder, compared, proxies, results, spread
from benchmarks.strategies import CONTESTANTS
from ean_transfer.ticket.mask import Mask, all_masks, bits_of

BLOCKS = [1, 2, 1, 2]
M = sum(BLOCKS)
WORTH = np.array([-0.3, 0.2, 0.1, -0.1, 0.4, 0.25])  # of each connection, in hundredths of the loss
PAIR = 0.3  # worth of the last two together


def loss(mask: Mask) -> float:
    return 0.5 - 0.01 * (float(WORTH @ np.array(mask)) + PAIR * (mask[-1] and mask[-2]))


def scores(mask: Mask) -> dict[str, Any]:
    over_full = [loss(mask) - loss((True,) * M), 0.0005]
    return {"loss": loss(mask), "miou": 60.0 - 100.0 * loss(mask), "loss_over_full": over_full}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A made-up folder, in which fine-tuning agrees with the supernet but for some noise."""
    folder = tmp_path / "toy_se"
    (folder / "truth").mkdir(parents=True)
    about = {"task": "CamVid", "attention": "SE", "blocks": BLOCKS, "images": 62}
    table = {bits_of(mask): scores(mask) for mask in all_masks(M)}
    write(folder / "masks.json", {"about": about, "masks": table})
    write(folder / "importance.json", {"held_out": list(WORTH / 100), "train": [0.1] * M})
    times = {"supernet": 120.0, "scoring": 60.0, "importance": 3.0, "fine_tuning": 90.0}
    write(folder / "times.json", times)
    noise = np.random.default_rng(0)
    for seed in (0, 1):
        for mask in sampled_masks(M, 16):
            tuned = loss(mask) - 0.1 + noise.normal(0.0, 0.0003)
            result = {"loss": tuned, "miou": 100.0 - 100.0 * tuned}
            write(folder / f"truth/seed{seed}_{bits_of(mask)}.json", result)
    return folder


@pytest.fixture
def few_strategies(monkeypatch) -> None:
    few = {name: CONTESTANTS[name] for name in ("surrogate", "random")}
    monkeypatch.setattr("benchmarks.own_network_judge.CONTESTANTS", few)


def write(file: Path, content: Any) -> None:
    file.write_text(json.dumps(content))


def test_proxies_are_judged_by_the_fine_tuned_masks(folder: Path) -> None:
    rows = {row["proxy"]: row for row in proxies(Folder.read(folder), 2) if row["truth"] == "loss"}
    assert {row["masks"] for row in rows.values()} == {16}
    ceiling = rows["another seed of the fine-tuning"]["tau_one"]
    assert 0.7 < ceiling < 1.0
    assert rows["supernet loss"]["tau"] == rows["supernet miou"]["tau"] > 0.85
    assert rows["pairwise model of 64 masks"]["tau"] > 0.85
    assert rows["Shapley values of 64 masks, summed"]["tau"] > 0.7
    assert rows["Taylor importance, summed (held_out)"]["tau"] > 0.7
    same = ["Taylor importance, summed (train)", "number of connections"]  # equal importances
    assert rows[same[0]]["tau"] == pytest.approx(rows[same[1]]["tau"])
    best = min(loss(mask) for mask in sampled_masks(M, 16)) - 0.1
    assert rows["supernet loss"]["its_best"] == pytest.approx(best, abs=0.001)


def test_a_lower_error_is_better(folder: Path) -> None:
    for file in [folder / "masks.json", *folder.glob("truth/*.json")]:
        # Whatever lowers the loss lowers the count's error as well.
        file.write_text(file.read_text().replace('"miou": ', '"mae": -').replace("CamVid", "Cells"))
    rows = {row["proxy"]: row for row in proxies(Folder.read(folder), 1) if row["truth"] == "mae"}
    assert rows["supernet loss"]["tau"] == rows["supernet mae"]["tau"] > 0.85


def test_the_best_mask_is_shown_beside_the_baselines(folder: Path) -> None:
    read = Folder.read(folder)
    rows = {row["name"]: row for row in compared(read)}
    assert rows["ticket"]["place"] == 1 and rows["ticket"]["mask"] == "011011"
    assert rows["ticket"]["connections"] == 4 and "fine_tuned" in rows["ticket"]
    assert rows["full"]["loss_over_full"][0] == 0.0
    assert set(rows["none"]["fine_tuned"]["miou"]) == {0, 1}
    assert rows["last two blocks"]["mask"] == "000011" and rows["last two blocks"]["place"] > 1
    losses = sorted(loss(mask) for mask in all_masks(M))
    alike = [losses.index(loss(mask)) + 1 for mask in all_masks(M) if sum(mask) == 4]
    assert rows["mean of all masks of as many"]["place"] == pytest.approx(np.mean(alike), abs=0.05)
    assert set(compared_masks(read.masks, BLOCKS)) == set(rows) - {"mean of all masks of as many"}


def test_searches_are_judged_by_regret_and_place(folder: Path) -> None:
    one = results(Folder.read(folder), seeds=1)
    rows = {row["strategy"]: row for row in one["searches"] if row["quality"] == "loss"}
    assert rows["surrogate"]["regret at 32"] == [0.0, 0.0, 0.0]
    assert rows["surrogate"]["place at 64"] == [1.0, 1.0, 1.0]
    assert rows["random"]["regret at 32"][1] >= rows["random"]["regret at 64"][1] >= 0.0
    assert {"surrogate, Taylor prior (train)", "reinforce", "evolution"} <= set(rows)
    assert one["seconds"]["search"] == 180.0 and one["seconds"]["search_over_fine_tuning"] == 2.0
    assert one["importance_tau"]["loss"]["held_out"] > 0.7
    losses = [loss(mask) for mask in all_masks(M)]
    assert spread(Folder.read(folder))["deviation"] == pytest.approx(np.std(losses))


@pytest.mark.usefixtures("few_strategies")
def test_the_page_keeps_its_text_and_gets_the_tables(folder: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "docs" / "own_network"
    out.parent.mkdir()
    out.with_suffix(".md").write_text("# The study\n\nText.\n")
    for _ in range(2):
        own_network_results.write([folder], seeds=1, out=out)
    page = out.with_suffix(".md").read_text()
    assert page.startswith("# The study\n\nText.\n") and page.count("## toy_se") == 1
    assert (
        "| surrogate | 0.000 (0.000 to 0.000) |" in page
        and "| the whole search | 180 | 200% |" in page
    )
    assert page.split(own_network_results.MARK)[1].strip() in capsys.readouterr().out
    assert json.loads(out.with_suffix(".json").read_text())[0]["name"] == "toy_se"
    assert (out.parent / "own_network_toy_se.png").stat().st_size > 5_000


@pytest.mark.usefixtures("few_strategies")
def test_a_folder_of_a_study_that_has_just_begun_is_judged_by_what_it_has(folder: Path) -> None:
    for file in [folder / "importance.json", folder / "times.json", *folder.glob("truth/*")]:
        file.unlink()
    own_network_results.write([folder], seeds=1, out=None)
    one = results(Folder.read(folder), seeds=1)
    assert one["proxies"] == [] and one["seconds"] == {}
    assert "fine_tuned" in one["compared"][0]
