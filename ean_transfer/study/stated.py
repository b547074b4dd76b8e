"""When a study's claims were stated: before its first run, or after results could be seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator

from ean_transfer.io.checked import Checked, Natural
from ean_transfer.io.records import JSONFile, remedy

_FILE = "claims.json"


def _in_order(seeds: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(seeds))


class Entry(Checked):
    """The claims and seeds of a study's config at one time.

    Attributes:
        claims: The claims in words.
        seeds: The study's seeds, sorted: in another order they train nothing else.
        finished_runs: Number of runs that were finished by then.
    """

    claims: tuple[str, ...]
    seeds: Annotated[tuple[int, ...], AfterValidator(_in_order)]
    finished_runs: Natural


class Stated(JSONFile):
    """The content of ``claims.json``: a study's claims and seeds, and each change of them."""

    what = "record of a study's claims"

    format: Literal["ean-transfer/claims"] = "ean-transfer/claims"
    version: Literal[1] = 1
    entries: tuple[Entry, ...] = ()

    def remarks(self) -> list[str]:
        """Whether the verdicts can be trusted as planned, one sentence each; empty without claims.

        Nothing can be seen in advance while no run is finished.
        """
        if not any(entry.claims for entry in self.entries):
            return []
        return [*self._remarks(self.entries[-1])] or [
            "Claims and seeds were stated before the first run."
        ]

    def _remarks(self, current: Entry) -> Iterator[str]:
        for claim in dict.fromkeys(claim for entry in self.entries for claim in entry.claims):
            first = next(entry for entry in self.entries if claim in entry.claims)
            if claim not in current.claims:
                yield f"Stated at first, and dropped when runs were finished: {claim}."
            elif first.finished_runs:
                yield (
                    f"Stated when {first.finished_runs} of the runs were finished, so that it may "
                    f"have been chosen for their results: {claim}."
                )
        for before, after in pairwise(self.entries):
            if after.seeds != before.seeds:
                yield (
                    f"The {len(before.seeds)} seeds were changed to {len(after.seeds)} when "
                    f"{after.finished_runs} of the runs were finished: a second look makes about "
                    "11 instead of 5 of 100 verdicts wrong."
                )


def state_claims(
    folder: Path, claims: Sequence[str], seeds: Sequence[int], finished_runs: int
) -> Stated:
    """Record a study's claims and seeds in its folder, unless they are there as they are now.

    Args:
        folder: The study's folder.
        claims: The claims in words.
        seeds: The study's seeds.
        finished_runs: Number of runs that are finished in it, also of earlier seeds and arms.

    Raises:
        ConfigError: The record in the folder is torn.
    """
    file, stated = folder / _FILE, Stated()
    if file.exists():
        with remedy("remove it, and the claims are taken as stated now"):
            stated = Stated.load(file)
    if not claims and not stated.entries:
        return stated
    now = Entry(claims=tuple(claims), seeds=tuple(seeds), finished_runs=finished_runs)
    last = stated.entries[-1] if stated.entries else None
    if last is not None and (last.claims, last.seeds) == (now.claims, now.seeds):
        return stated
    seen = tuple(entry for entry in stated.entries if finished_runs)  # else nobody saw a result
    stated = Stated(entries=(*seen, now))
    stated.save(file)
    return stated
