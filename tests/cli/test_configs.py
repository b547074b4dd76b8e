"""ean configs: the list of configs that come with the package."""

from __future__ import annotations

import json


def test_lists_names_that_contain_a_word(run_tool) -> None:
    shown = run_tool("configs", "toy_search")
    names = [line.split()[0] for line in shown.out.splitlines()]
    assert shown.code == 0
    assert names == [
        f"{task}/toy_search" for task in ("classification", "crowd_counting", "segmentation")
    ]
    assert list(json.loads(run_tool("configs", "toy_search", "--json").out)) == names
    assert run_tool("configs", "no such config").code == 1
