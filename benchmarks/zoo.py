"""The zoo's tickets that were searched here, with what the studies say of each.

python -m benchmarks.zoo

writes them from the tickets and studies of ``docs/results/`` into the package.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.evidence import FOLDER, Comparison, Study, studies
from ean_transfer.ticket import Ticket
from ean_transfer.ticket.model import ZOO

SEARCHED = {
    "cifar10-se-resnet20": "se_resnet20_cifar10_ticket.json",
    "cifar10-se-resnet56": "se_resnet56_cifar10_ticket.json",
    "cifar10-se-lite0": "lite0_se_cifar10_ticket.json",
    "cells-se-lite0": "lite0_se_cells_ticket.json",
    "camvid-se-lite0": "lite0_se_camvid_ticket.json",
}
"""Name in the zoo -> the search's ticket in ``docs/results/``."""

ON_TARGET = "searched_on_target"


def with_studies(ticket: Ticket) -> Ticket:
    """The ticket with the comparisons of the studies that trained it, as provenance."""
    compared = list(comparisons(ticket))
    return ticket.model_copy(
        update={
            "provenance": {
                "confirmed": True,  # the search itself says which mask it chose
                **ticket.provenance,
                "source": "searched by ean-transfer",
                "confirmed_by": _in_words(compared),
                "studies": [_plain(one) for one in compared],
            }
        }
    )


def comparisons(ticket: Ticket) -> Iterator[Comparison]:
    """The ticket against none, full and random ones, in each study of it with two seeds or more."""
    for study in studies().values():
        arm = arm_of(study, ticket)
        if arm is None:
            continue
        for task in study.tasks:
            for attention in study.attentions(task):
                if attention in ("", ticket.attention):
                    for other in ("none", "full", "random"):
                        compared = study.compare(task, arm, other, attention)
                        if compared and compared.verdict.t:
                            yield compared


def arm_of(study: Study, ticket: Ticket) -> str | None:
    """The arm of a study that has this ticket from a search; ``None`` if there is none."""
    its_own = ticket.model_copy(update={"stages": tuple(study.data["ticket"].split())})
    if its_own.id != study.data["ticket_id"]:
        return None  # a study of another network or attention
    bits = {"ticket": study.data["ticket"]}
    for arms in study.data.get("runs", {}).values():
        for run in arms.get(ON_TARGET, ()):
            bits[ON_TARGET] = run["ticket"]
    return next((arm for arm, text in bits.items() if text == str(ticket)), None)


def _plain(one: Comparison) -> dict[str, Any]:
    assert one.verdict.t is not None
    return {
        "study": f"{one.study}.json",
        "task": one.task,
        "claim": one.verdict.claim,
        "answer": one.verdict.answer,
        "seeds": one.seeds,
        "mean": round(one.verdict.mean, 4),
        "interval": [round(end, 4) for end in one.verdict.t],
    }


def _in_words(compared: list[Comparison]) -> str:
    """``2 of 8 comparisons here``: how many claims to be better hold; empty without any."""
    holds = sum(one.verdict.answer == "holds" for one in compared)
    return f"better in {holds} of {len(compared)} comparisons" if compared else "no study yet"


if __name__ == "__main__":
    for name, file in SEARCHED.items():
        ticket = with_studies(Ticket.load(FOLDER / file))
        print(f"wrote {ticket.save(ZOO / f'{name}.json')}: {ticket.provenance['confirmed_by']}")
