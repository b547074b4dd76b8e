"""The fields of a ticket: what each means, how it is checked, and what follows from it.

A ticket is data and never code: plain JSON, validated by a schema, safe to open from a stranger.
It has one bit per residual block: 1 where the attention module is applied to the block's branch.
Source: "Efficient Attention Network" (arXiv 2011.14058), where the bits are a "connection scheme",
and "The Lottery Ticket Hypothesis for Self-attention in Convolutional Neural Network" (arXiv
2207.07858).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import ConfigDict, Field, StringConstraints, model_validator
from typing_extensions import Self

from ean_transfer.errors import EANError
from ean_transfer.io.checked import Checked
from ean_transfer.io.records import JSONFile
from ean_transfer.io.terminal import shortened
from ean_transfer.ticket.architectures import blocks_per_stage
from ean_transfer.ticket.mask import Mask, mask_of, sparsity

ZOO_PREFIX = "zoo:"
ZOO = Path(__file__).with_name("zoo")
"""Folder of the published tickets."""
_MAX_BLOCKS = 4096  # per stage: its decimal form then has 1,234 digits, and Python prints 4,300

Option = bool | int | float | str
Sharing = Literal["stage", "block"]
_Item = TypeVar("_Item")
# Checkpoints and configs have lists where the schema has tuples; nothing else is converted.
_Tuple = Annotated[tuple[_Item, ...], Field(strict=False)]
_ModuleName = Annotated[str, StringConstraints(max_length=200)]


class TicketError(EANError):
    """A ticket cannot be read, or does not fit what it is used with."""


class BackboneSpec(Checked):
    """The backbone a ticket fits.

    Args:
        name: Its name.
        blocks: Number of residual blocks in each stage.
        places: Names of the modules that stand for the blocks, first stage first, where a user
            named them (``attach(at=...)``); empty where they are residual blocks.
    """

    what = "backbone"
    error = TicketError

    name: str
    blocks: _Tuple[int]
    places: _Tuple[_ModuleName] = ()


class TicketModel(JSONFile):
    """Base of :class:`~ean_transfer.ticket.Ticket`: its fields and checks, without conversions.

    Args:
        backbone: The backbone's name and blocks per stage.
        attention: Name of the attention module, e.g. ``"SE"``; ``None`` only without connections.
        attention_options: The module's options where they differ from its defaults or are worth
            recording, e.g. ``{"reduction": 16}``.
        sharing: ``"stage"``: one module per stage, used by all its connected blocks; ``"block"``:
            one module per connected block.
        stages: One string of ``0`` and ``1`` per stage, first block first.
        asr: Strings like those of ``stages``, empty for none. They mark the blocks with an
            attention that is re-parameterised (:mod:`ean_transfer.asr`): it is trained like any
            other, ahead of the block's own one if there is one, and then folded into the layers.
        provenance: How the ticket came about (data, strategy, seed, reward, versions, date ...).
            It is for people and does not enter the ticket's :attr:`id`.

    Raises:
        TicketError: A field is missing, unknown or malformed, or the stages do not have the
            backbone's number of blocks.
    """

    # JSON has no infinity: an option that holds one could be written but not read again.
    model_config = ConfigDict(allow_inf_nan=False)
    what = "ticket"
    error = TicketError

    format: Literal["ean-transfer/ticket"] = "ean-transfer/ticket"
    version: Literal[1] = 1
    backbone: BackboneSpec
    attention: str | None
    attention_options: dict[str, Option] = Field(default_factory=dict)
    sharing: Sharing = "stage"
    stages: _Tuple[str]
    asr: _Tuple[str] = ()
    provenance: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _stages_fit_the_backbone(self) -> Self:
        for problem in self._problems():
            raise ValueError(problem)
        return self

    def _problems(self) -> Iterator[str]:
        """What the types of the fields do not check; only the first one is reported."""
        if not self.stages:
            yield "the ticket has no stages"
        for what, stages in (("stage", self.stages), ("asr, stage", self.asr)):
            for number, bits in enumerate(stages, start=1):
                if not re.fullmatch("[01]+", bits):
                    yield f"{what} {number} is {bits!r:.80}, expected a string of 0 and 1"
                if len(bits) > _MAX_BLOCKS:
                    yield f"{what} {number} has {len(bits)} bits, expected at most {_MAX_BLOCKS}"
        name, declared = shortened(self.backbone.name), self.backbone.blocks
        known = blocks_per_stage(self.backbone.name) or declared
        if declared != known:
            yield (
                f"{name} has {_dashes(known)} blocks per stage, but the ticket declares "
                f"{_dashes(declared)}"
            )
        for what, stages in (("stages", self.stages), ("asr stages", self.asr or self.stages)):
            if (lengths := tuple(map(len, stages))) != declared:
                yield (
                    f"{name} has {_dashes(declared)} blocks per stage, but the ticket's {what} "
                    f"have {_dashes(lengths)} bits"
                )
        if self.backbone.places and len(self.backbone.places) != sum(declared):
            yield f"expected {sum(declared)} places, found {len(self.backbone.places)}"
        if self.attention is None and not self.is_plain:
            yield "the ticket connects blocks but names no attention"

    @property
    def mask(self) -> Mask:
        """One truth value per block, all stages in order."""
        return mask_of("".join(self.stages))

    @property
    def num_blocks(self) -> int:
        """Residual blocks of the backbone."""
        return sum(self.backbone.blocks)

    @property
    def connected(self) -> int:
        """Number of blocks that carry attention, without those whose attention is to be folded."""
        return sum(self.mask)

    @property
    def to_fold(self) -> int:
        """Number of blocks with an attention that is to be folded."""
        return sum(mask_of("".join(self.asr)))

    @property
    def asr_stages(self) -> tuple[str, ...]:
        """``asr``, or zeros in the form of ``stages`` if it is empty."""
        return self.asr or tuple("0" * len(bits) for bits in self.stages)

    @property
    def is_plain(self) -> bool:
        """Whether the network has no attention of either kind."""
        return self.connected == 0 and self.to_fold == 0

    @property
    def sparsity(self) -> float:
        """Share of the blocks *without* attention, in [0, 1]."""
        return sparsity(self.mask)

    @property
    def id(self) -> str:
        """Twelve hex digits that identify the *network*: equal ids, equal networks.

        A hash of backbone, attention and its options, sharing, mask and places. Without a
        connection the network is the plain backbone whatever attention the ticket names, and so is
        the id.
        """
        plain = self.is_plain
        fields = {
            "backbone": [self.backbone.name, list(self.backbone.blocks)],
            "attention": None if plain else self.attention,
            "options": {} if plain else self.attention_options,
            "sharing": None if plain else self.sharing,
            "stages": list(self.stages),
        }
        if self.to_fold:
            fields["asr"] = list(self.asr)
        if self.backbone.places and not plain:
            fields["places"] = list(self.backbone.places)
        # Checkpoints carry this hash: another spelling of the same JSON would orphan them all.
        text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def __str__(self) -> str:
        """The bits, one group per stage: ``100 1011 010011 011``; ``000 000 asr 110 100``."""
        return " ".join([*self.stages, *(["asr", *self.asr] if self.to_fold else [])])

    def to_json(self) -> str:
        """The ticket as people read it: indented JSON, one line per stage."""
        data = self.model_dump(mode="json")
        for fields, rare in ((data, "asr"), (data["backbone"], "places")):
            if not fields[rare]:
                del fields[rare]
        text = json.dumps(data, indent=2, ensure_ascii=False)
        # Lists of integers go on one line. A JSON string holds no raw line break, so that what
        # looks like such a list within a string is left alone.
        one_line = re.compile(r"\[\n\s*(-?\d+(?:,\n\s*-?\d+)*)\n\s*\]")
        return one_line.sub(lambda m: "[" + re.sub(r"\s+", " ", m[1]) + "]", text) + "\n"

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a ticket from a file, or from the zoo by ``"zoo:NAME"``.

        Raises:
            TicketError: There is no such file or zoo name, or it is not a valid ticket.
        """
        name = str(path)
        in_zoo = name.startswith(ZOO_PREFIX)
        file = ZOO / f"{name.removeprefix(ZOO_PREFIX)}.json" if in_zoo else Path(path)
        if not os.path.exists(file):
            published = ", ".join(zoo_names())
            raise TicketError(
                f"{name}: no such ticket file; a ticket is a file, zoo:NAME ({published}) or, "
                "where the backbone is known, none or full"
            )
        if os.path.isdir(file):
            inside = os.path.join(file, "ticket.json")
            hint = f"; did you mean {inside}?" if os.path.exists(inside) else ""
            raise TicketError(f"{name}: expected a ticket file, found a folder{hint}")
        return super().load(file)


def zoo_names() -> list[str]:
    """Names of the published tickets, without ``zoo:``."""
    return sorted(file.stem for file in ZOO.glob("*.json"))


def _dashes(blocks: Iterable[int]) -> str:
    return shortened("-".join(map(str, blocks)))
