"""The ticket: a small, safe, portable file that says which residual blocks carry attention.

A ticket is data and never code: plain JSON, validated by a schema, safe to open from a stranger.
Importing this module loads no torch, so tools that only read tickets start at once.

A ticket ("connection scheme") is one bit a residual block: 1 where the attention module is applied
to the block's branch. Source: "Efficient Attention Network" (arXiv 2011.14058) and "The Lottery
Ticket Hypothesis for Self-attention in Convolutional Neural Network" (arXiv 2207.07858).
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ean_transfer.errors import EANError
from ean_transfer.io.files import write_atomically
from ean_transfer.ticket.architectures import blocks_a_stage, unknown_backbone

ZOO_PREFIX = "zoo:"
_MAX_BYTES = 1_000_000  # a ticket is about 1 kB; anything this large is some other file
_MAX_BLOCKS = 4096  # of a stage: its decimal form has 1,234 digits, and Python prints 4,300

Option = bool | int | float | str
Sharing = Literal["stage", "block"]
_Item = TypeVar("_Item")
# JSON has lists where the schema has tuples; everything else is taken as it stands.
_Tuple = Annotated[tuple[_Item, ...], Field(strict=False)]


class TicketError(EANError):
    """A ticket cannot be read, or does not fit what it is used with."""


class BackboneSpec(BaseModel):
    """The backbone a ticket fits: its name and the residual blocks of each stage."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    blocks: _Tuple[int]


class Ticket(BaseModel):
    """Which residual blocks of a backbone carry attention, which attention, and where that is from.

    Args:
        backbone: The backbone's name and blocks a stage.
        attention: Name of the attention module, e.g. ``"SE"``; ``None`` only without connections.
        attention_options: The module's options where they differ from its defaults or are worth
            recording, e.g. ``{"reduction": 16}``.
        sharing: ``"stage"``: one module a stage, used by all its connected blocks; ``"block"``: a
            module of its own for every connected block.
        stages: One string of ``0`` and ``1`` a stage, first block first.
        asr: Likewise, the blocks with an attention that is re-parameterised
            (:mod:`ean_transfer.asr`): trained like another one before the block's own, if it has
            one, and folded into its layers afterwards. Empty: none.
        provenance: How the ticket came about (data, strategy, seed, reward, versions, date ...).
            It is for people and does not enter the ticket's :attr:`id`.

    Raises:
        TicketError: If a field is missing, unknown or malformed, or if the stages do not have the
            backbone's number of blocks.
    """

    # JSON has no infinity: an option that holds one could be written but not read again.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    format: Literal["ean-transfer/ticket"] = "ean-transfer/ticket"
    version: Literal[1] = 1
    backbone: BackboneSpec
    attention: str | None
    attention_options: dict[str, Option] = Field(default_factory=dict)
    sharing: Sharing = "stage"
    stages: _Tuple[str]
    asr: _Tuple[str] = ()
    provenance: dict[str, Any] = Field(default_factory=dict)

    def __init__(self, /, **data: Any) -> None:  # a file may hold a field named self
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise TicketError(_first_problem(error)) from None

    @model_validator(mode="after")
    def _stages_fit_the_backbone(self) -> Ticket:
        if not self.stages:
            raise ValueError("the ticket has no stages")
        for what, groups in (("stage", self.stages), ("asr, stage", self.asr)):
            for number, bits in enumerate(groups, start=1):
                if set(bits) - {"0", "1"} or not bits:
                    raise ValueError(f"{what} {number} is {bits!r}, expected a string of 0 and 1")
                if len(bits) > _MAX_BLOCKS:
                    raise ValueError(
                        f"{what} {number} has {len(bits)} bits, expected at most {_MAX_BLOCKS}"
                    )
        name, declared = self.backbone.name, self.backbone.blocks
        known = blocks_a_stage(name)
        if known is not None and declared != known:
            raise ValueError(
                f"{name} has {_dashes(known)} blocks a stage, but the ticket declares "
                f"{_dashes(declared)}"
            )
        if (found := tuple(map(len, self.stages))) != declared:
            raise ValueError(
                f"{name} has {_dashes(declared)} blocks a stage, but the ticket's stages have "
                f"{_dashes(found)} bits"
            )
        if self.asr and (found := tuple(map(len, self.asr))) != declared:
            raise ValueError(
                f"{name} has {_dashes(declared)} blocks a stage, but the ticket's asr has "
                f"{_dashes(found)} bits"
            )
        if self.attention is None and any("1" in bits for bits in self.stages + self.asr):
            raise ValueError("the ticket connects blocks but names no attention")
        return self

    # -- what it says ------------------------------------------------------------------------

    @property
    def mask(self) -> tuple[bool, ...]:
        """One truth value a block, all stages in order."""
        return tuple(bit == "1" for bit in "".join(self.stages))

    @property
    def num_blocks(self) -> int:
        """Residual blocks of the backbone."""
        return sum(self.backbone.blocks)

    @property
    def connected(self) -> int:
        """Number of blocks that carry attention; what is to be folded does not count."""
        return sum(self.mask)

    @property
    def to_fold(self) -> int:
        """Number of blocks with an attention that is to be folded."""
        return "".join(self.asr).count("1")

    @property
    def is_plain(self) -> bool:
        """Whether the network has no attention of either kind."""
        return self.connected == 0 and self.to_fold == 0

    @property
    def sparsity(self) -> float:
        """Share of the blocks *without* attention, in [0, 1]."""
        return 1.0 - self.connected / self.num_blocks

    @property
    def id(self) -> str:
        """Twelve hex digits that identify the *network*: equal ids, equal networks.

        A hash of backbone, attention and its options, sharing and mask. Without a connection the
        network is the plain backbone, whatever attention was meant, and the id says so.
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
        text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def __str__(self) -> str:
        """The bits, a group a stage: ``100 1011 010011 011``; ``000 000 asr 110 100``."""
        return " ".join([*self.stages, *(["asr", *self.asr] if self.to_fold else [])])

    # -- other tickets -----------------------------------------------------------------------

    def replace(self, **fields: Any) -> Ticket:
        """A copy with some fields changed, validated like a new ticket."""
        return Ticket(**({name: getattr(self, name) for name in type(self).model_fields} | fields))

    def complement(self) -> Ticket:
        """The ticket that connects just the blocks which this one does not."""
        swap = str.maketrans("01", "10")
        return self.replace(
            stages=tuple(bits.translate(swap) for bits in self.stages),
            provenance={"complement_of": self.id},
        )

    def with_asr(self, before: bool = False) -> Ticket:
        """Re-parameterise the connections instead of keeping them, or before each that is kept.

        Args:
            before: Keep them too: ASR followed by a normal attention.

        Raises:
            TicketError: If the ticket has connections that are to be folded already.
        """
        if self.to_fold:
            raise TicketError(f"ticket {self} has connections to fold already")
        kept = self.stages if before else tuple("0" * len(bits) for bits in self.stages)
        return self.replace(stages=kept, asr=self.stages)

    def folded(self) -> Ticket:
        """The ticket of the network once its re-parameterised attention is folded."""
        return self.replace(asr=())

    def shuffled(self, seed: int = 0) -> Ticket:
        """Another ticket of the same network and sparsity, drawn uniformly: a search must beat it.

        Where a block's attention is to be folded, that moves with the block's bit.

        Args:
            seed: Seed of the draw; the same seed gives the same ticket.

        Raises:
            TicketError: If all blocks are alike, e.g. none is connected: no other is as sparse.
        """
        kept = "".join(self.stages)
        bits = list(zip(kept, "".join(self.asr) or "0" * len(kept), strict=True))
        if len(set(bits)) == 1:
            raise TicketError(f"ticket {self} has all blocks alike: no other is as sparse")
        generator = random.Random(seed)
        drawn = bits.copy()
        while drawn == bits:
            generator.shuffle(drawn)
        stages, asr = (
            tuple(_cut("".join(group), self.backbone.blocks)) for group in zip(*drawn, strict=True)
        )
        return self.replace(
            stages=stages,
            asr=asr if self.asr else (),
            provenance={"strategy": "shuffled", "of": self.id, "seed": seed},
        )

    # -- conversions -------------------------------------------------------------------------

    @classmethod
    def from_mask(cls, mask: Iterable[bool | int], backbone: str, **fields: Any) -> Ticket:
        """A ticket from one truth value a block (see :meth:`from_bits` for the rest).

        Raises:
            TicketError: If the mask does not fit the backbone, or is a text.
        """
        if isinstance(mask, str):  # each of whose characters is true, also "0"
            raise TicketError(f"a mask has a truth value a block, found the text {mask!r:.40}")
        return cls.from_bits("".join("1" if bit else "0" for bit in mask), backbone, **fields)

    @classmethod
    def from_bits(
        cls,
        bits: str,
        backbone: str,
        attention: str | None = "SE",
        *,
        blocks: Sequence[int] | None = None,
        **fields: Any,
    ) -> Ticket:
        """A ticket from a bit string such as ``"100 1011 010011 011"``.

        Spaces, commas and dashes may separate stages; without any, the bits are cut by the
        backbone's blocks a stage.

        Args:
            bits: ``0`` and ``1``, first block first.
            backbone: Name of the backbone, e.g. ``"resnet50"``.
            attention: Name of the attention module.
            blocks: Blocks a stage; only needed for a backbone whose name
                :func:`ean_transfer.ticket.architectures.blocks_a_stage` does not know.
            **fields: Other fields of the ticket (``attention_options``, ``sharing``,
                ``provenance``).

        Raises:
            TicketError: If the bits do not fit the backbone.
        """
        blocks = _given_or_known(blocks, backbone)
        groups = [group for group in re.split(r"[\s,\-]+", bits.strip()) if group]
        if len(groups) == 1 and len(blocks) > 1:
            flat = groups[0]
            if len(flat) != sum(blocks):
                raise TicketError(
                    f"{backbone} has {sum(blocks)} blocks ({_dashes(blocks)}), "
                    f"but {len(flat)} bits were given: {bits!r}"
                )
            groups = _cut(flat, blocks)
        spec = BackboneSpec(name=backbone, blocks=tuple(blocks))
        return cls(backbone=spec, attention=attention, stages=tuple(groups), **fields)

    @classmethod
    def from_decimal(
        cls,
        decimal: Sequence[int],
        backbone: str,
        attention: str | None = "SE",
        *,
        blocks: Sequence[int] | None = None,
        **fields: Any,
    ) -> Ticket:
        """A ticket from the papers' decimal form: one integer a stage, first block = highest bit.

        ``(4, 11, 19, 3)`` of ``resnet50`` is ``100 1011 010011 011``. Arguments and errors as in
        :meth:`from_bits`.
        """
        blocks = _given_or_known(blocks, backbone)
        if len(decimal) != len(blocks):
            raise TicketError(
                f"{backbone} has {len(blocks)} stages, but {len(decimal)} numbers were given: "
                f"{tuple(decimal)}"
            )
        for stage, (value, length) in enumerate(zip(decimal, blocks, strict=True), start=1):
            if not 0 <= value < 2**length:
                raise TicketError(
                    f"stage {stage} of {backbone} has {length} blocks: expected a number from 0 to "
                    f"{2**length - 1}, found {value}"
                )
        bits = " ".join(f"{v:0{n}b}" for v, n in zip(decimal, blocks, strict=True))
        return cls.from_bits(bits, backbone, attention, blocks=blocks, **fields)

    def to_decimal(self) -> tuple[int, ...]:
        """The papers' decimal form: one integer a stage, the first block is the highest bit."""
        return tuple(int(bits, base=2) for bits in self.stages)

    @classmethod
    def none(cls, backbone: str, attention: str | None = "SE", **fields: Any) -> Ticket:
        """The plain backbone: no block carries attention."""
        return cls._constant("0", backbone, attention, **fields)

    @classmethod
    def full(cls, backbone: str, attention: str | None = "SE", **fields: Any) -> Ticket:
        """Every block carries attention."""
        return cls._constant("1", backbone, attention, **fields)

    @classmethod
    def _constant(cls, bit: str, backbone: str, attention: str | None, **fields: Any) -> Ticket:
        blocks = _given_or_known(fields.pop("blocks", None), backbone)
        stages = " ".join(bit * length for length in blocks)
        return cls.from_bits(stages, backbone, attention, blocks=blocks, **fields)

    @classmethod
    def random(
        cls,
        backbone: str,
        attention: str | None = "SE",
        *,
        sparsity: float = 0.5,
        seed: int = 0,
        **fields: Any,
    ) -> Ticket:
        """A ticket drawn uniformly among those of the sparsity nearest to the one asked for.

        Args:
            backbone: Name of the backbone.
            attention: Name of the attention module.
            sparsity: Share of blocks without attention, in [0, 1].
            seed: Seed of the draw; the same seed gives the same ticket.
            **fields: As in :meth:`from_bits`.

        Raises:
            TicketError: If the sparsity is outside [0, 1].
        """
        if not 0.0 <= sparsity <= 1.0:
            raise TicketError(f"sparsity is a share of blocks in [0, 1], found {sparsity}")
        blocks = _given_or_known(fields.get("blocks"), backbone)
        total = sum(blocks)
        connected = round((1.0 - sparsity) * total)
        chosen = set(random.Random(seed).sample(range(total), connected))
        fields.setdefault("provenance", {"strategy": "random", "sparsity": sparsity, "seed": seed})
        mask = (index in chosen for index in range(total))
        return cls.from_mask(mask, backbone, attention=attention, **fields)

    def with_mask(self, mask: Iterable[bool | int]) -> Ticket:
        """The same network at another mask, one truth value a block; without the provenance, and
        without anything to fold.

        Raises:
            TicketError: If the length is not the number of blocks.
        """
        return Ticket.from_mask(
            mask,
            self.backbone.name,
            attention=self.attention,
            blocks=self.backbone.blocks,
            attention_options=self.attention_options,
            sharing=self.sharing,
        )

    # -- files -------------------------------------------------------------------------------

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Ticket:
        """Read a ticket from a file, or from the zoo by ``"zoo:NAME"``.

        Raises:
            TicketError: If there is no such file or zoo name, or if it is not a valid ticket.
        """
        if isinstance(path, str) and path.startswith(ZOO_PREFIX):
            return cls.from_json(_read_zoo(path), source=path)
        file = Path(path)
        try:
            if file.stat().st_size > _MAX_BYTES:
                raise TicketError(f"{file}: larger than {_MAX_BYTES} bytes, this is no ticket")
            return cls.from_json(file.read_text(encoding="utf-8"), source=str(file))
        except FileNotFoundError:
            raise TicketError(f"{file}: no such ticket file{_hint(str(path))}") from None
        except (OSError, UnicodeDecodeError) as error:
            raise TicketError(f"{file}: cannot be read as a ticket ({error})") from None

    @classmethod
    def from_json(cls, text: str, source: str = "ticket") -> Ticket:
        """Parse a ticket's JSON text; ``source`` names it in errors."""
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            if isinstance(error, json.JSONDecodeError):
                where = f"line {error.lineno}, column {error.colno}: {error.msg}"
            elif isinstance(error, RecursionError):
                where = "nested too deeply"
            else:
                where = "a number with thousands of digits"  # Python refuses over 4,300
            raise TicketError(f"{source}: expected a ticket in JSON, found {where}") from None
        if not isinstance(data, dict):
            raise TicketError(
                f"{source}: expected a ticket (a JSON object), found {type(data).__name__}"
            )
        try:
            ticket = cls(**data)
            ticket.to_json()  # what cannot be written would stop a training at its first checkpoint
        except TicketError as error:
            raise TicketError(f"{source}: {error}") from None
        return ticket

    def to_json(self) -> str:
        """The ticket as people read it: indented JSON, one line a stage.

        Raises:
            TicketError: If the provenance holds what JSON cannot.
        """
        try:
            data = self.model_dump(mode="json", exclude=None if self.asr else {"asr"})
            text = json.dumps(data, indent=2, ensure_ascii=False)
            text.encode("utf-8")
        except (ValueError, TypeError, RecursionError) as error:
            raise TicketError(f"the ticket cannot be written as JSON ({error})") from None
        # Lists of integers go on one line. A JSON string holds no raw line break, so that what
        # looks like such a list within a string is left alone.
        one_line = re.compile(r"\[\n\s*(-?\d+(?:,\n\s*-?\d+)*)\n\s*\]")
        return one_line.sub(lambda m: "[" + re.sub(r"\s+", " ", m[1]) + "]", text) + "\n"

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the ticket atomically (a reader never sees half a file); returns the path."""
        file = Path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, self.to_json())
        return file


def _hint(path: str) -> str:
    """What else a ticket may be, for who did not mean a file."""
    if path.endswith(".json") or Path(path).name != path:
        return ""
    return "; a ticket is a file, zoo:NAME or, where the backbone is known, none or full"


def zoo() -> dict[str, Ticket]:
    """The published tickets that come with the package, by name (without ``zoo:``)."""
    return {name: Ticket.load(ZOO_PREFIX + name) for name in _zoo_names()}


def _zoo_names() -> list[str]:
    names = (entry.name for entry in resources.files("ean_transfer.ticket.zoo").iterdir())
    return sorted(name.removesuffix(".json") for name in names if name.endswith(".json"))


def _read_zoo(path: str) -> str:
    name = path.removeprefix(ZOO_PREFIX)
    if name not in (names := _zoo_names()):
        raise TicketError(f"no ticket {name!r} in the zoo, which has: {', '.join(names)}")
    return (resources.files("ean_transfer.ticket.zoo") / f"{name}.json").read_text(encoding="utf-8")


def _given_or_known(blocks: Sequence[int] | None, backbone: str) -> tuple[int, ...]:
    found = blocks_a_stage(backbone) if blocks is None else tuple(blocks)
    if found is None:
        raise TicketError(f"{unknown_backbone(backbone)}; or give its blocks a stage")
    return found


def _cut(bits: str, blocks: Sequence[int]) -> list[str]:
    starts = [sum(blocks[:i]) for i in range(len(blocks))]
    return [bits[start : start + length] for start, length in zip(starts, blocks, strict=True)]


def _dashes(blocks: Iterable[int]) -> str:
    return "-".join(map(str, blocks))


def _first_problem(error: ValidationError) -> str:
    """One line for the first of pydantic's findings; the rest usually follow from it."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        return f"unknown field {where!r}"
    if where == "version" and isinstance(found := first["input"], int) and found > 1:
        return f"is of version {found}, this ean-transfer reads version 1: update ean-transfer"
    if first["type"] == "missing":
        return f"field {where!r} is missing"
    if not where:
        return message
    return f"field {where!r}: {message[0].lower()}{message[1:]}, found {first['input']!r:.80}"
