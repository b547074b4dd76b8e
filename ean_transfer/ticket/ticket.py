"""The ticket: conversions from bits, decimals and words, and the tickets derived from another.

Its fields, checks and files are those of :mod:`ean_transfer.ticket.model`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from typing import Any

from ean_transfer.ticket.architectures import blocks_per_stage, unknown_backbone
from ean_transfer.ticket.mask import bits_of
from ean_transfer.ticket.model import BackboneSpec, TicketError, TicketModel


class Ticket(TicketModel):
    """Which residual blocks of a backbone carry attention, which attention, and where that is from.

    A small, safe, portable file: :meth:`load`, :meth:`save`. The fields are those of
    :class:`~ean_transfer.ticket.model.TicketModel`.
    """

    # -- conversions -------------------------------------------------------------------------

    @classmethod
    def from_mask(cls, mask: Iterable[bool | int], backbone: str, **fields: Any) -> Ticket:
        """A ticket from one truth value per block (see :meth:`from_bits` for the rest).

        Raises:
            TicketError: The mask does not fit the backbone, or is a text.
        """
        values = tuple(mask)
        if any(isinstance(value, str) for value in values):  # all would be true, also "0"
            raise TicketError(f"a mask has one truth value per block, found the text {mask!r:.40}")
        return cls.from_bits(bits_of(values), backbone, **fields)

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
        backbone's blocks per stage.

        Args:
            bits: ``0`` and ``1``, first block first.
            backbone: Name of the backbone, e.g. ``"resnet50"``.
            attention: Name of the attention module.
            blocks: Blocks per stage; only needed for a backbone whose name
                :func:`ean_transfer.ticket.architectures.blocks_per_stage` does not know.
            **fields: Other fields of the ticket (``attention_options``, ``sharing``,
                ``provenance``).

        Raises:
            TicketError: The bits do not fit the backbone.
        """
        spec = _backbone(backbone, blocks)
        stages = tuple(group for group in re.split(r"[\s,\-]+", bits.strip()) if group)
        if len(stages) == 1 and len(stages[0]) == sum(spec.blocks):
            stages = _cut(stages[0], spec.blocks)
        return cls(backbone=spec, attention=attention, stages=stages, **fields)

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
        """A ticket from the papers' decimal form: one integer per stage, first block = highest bit.

        ``(4, 11, 19, 3)`` of ``resnet50`` is ``100 1011 010011 011``. Arguments and errors as in
        :meth:`from_bits`.
        """
        spec = _backbone(backbone, blocks)
        largest = tuple(2**length - 1 for length in spec.blocks)
        if len(decimal) != len(largest) or any(
            not 0 <= value <= limit for value, limit in zip(decimal, largest, strict=True)
        ):
            raise TicketError(
                f"{backbone} has {len(largest)} stages: expected one number for each, from 0 to "
                f"{', '.join(map(str, largest))}, found {', '.join(map(str, decimal)):.80}"
            )
        bits = " ".join(f"{v:0{n}b}" for v, n in zip(decimal, spec.blocks, strict=True))
        return cls.from_bits(bits, backbone, attention, blocks=spec.blocks, **fields)

    def to_decimal(self) -> tuple[int, ...]:
        """The papers' decimal form: one integer per stage, the first block is the highest bit.

        Raises:
            TicketError: The ticket has connections to fold, which this form cannot say.
        """
        if self.to_fold:
            raise TicketError(
                f"ticket {self} has connections to fold, which decimals cannot say: use bits"
            )
        return tuple(int(bits, base=2) for bits in self.stages)

    @classmethod
    def none(cls, backbone: str, attention: str | None = "SE", **fields: Any) -> Ticket:
        """The plain backbone: no block carries attention."""
        return cls._constant(False, backbone, attention, **fields)

    @classmethod
    def full(cls, backbone: str, attention: str | None = "SE", **fields: Any) -> Ticket:
        """Every block carries attention."""
        return cls._constant(True, backbone, attention, **fields)

    @classmethod
    def _constant(
        cls, connected: bool, backbone: str, attention: str | None, **fields: Any
    ) -> Ticket:
        mask = [connected] * sum(_backbone(backbone, fields.get("blocks")).blocks)
        return cls.from_mask(mask, backbone, attention=attention, **fields)

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
            **fields: Other fields of the ticket, as in :meth:`from_bits`.

        Raises:
            TicketError: The sparsity is outside [0, 1].
        """
        if not 0.0 <= sparsity <= 1.0:
            raise TicketError(f"sparsity is a share of blocks in [0, 1], found {sparsity}")
        total = sum(_backbone(backbone, fields.get("blocks")).blocks)
        connected = round((1.0 - sparsity) * total)
        chosen = set(random.Random(seed).sample(range(total), connected))
        fields.setdefault("provenance", {"strategy": "random", "sparsity": sparsity, "seed": seed})
        mask = (index in chosen for index in range(total))
        return cls.from_mask(mask, backbone, attention=attention, **fields)

    # -- other tickets -----------------------------------------------------------------------

    def replace(self, **fields: Any) -> Ticket:
        """A copy with some fields changed, validated like a new ticket."""
        return Ticket(**({name: getattr(self, name) for name in type(self).model_fields} | fields))

    def with_mask(self, mask: Iterable[bool | int]) -> Ticket:
        """The same network with another mask, one truth value per block; nothing is to be folded.

        Provenance is left out, since it told how the old mask came about.

        Raises:
            TicketError: The mask does not have one value per block.
        """
        masked = Ticket.from_mask(mask, self.backbone.name, blocks=self.backbone.blocks)
        return self.replace(stages=masked.stages, asr=(), provenance={})

    def complement(self) -> Ticket:
        """The ticket that connects exactly the blocks that this one does not.

        Raises:
            TicketError: The ticket has connections that are to be folded, which have no opposite.
        """
        if self.to_fold:
            raise TicketError(
                f"ticket {self} has connections to fold: expected one without, such as .folded()"
            )
        swap = str.maketrans("01", "10")
        return self.replace(
            stages=tuple(bits.translate(swap) for bits in self.stages),
            provenance={"complement_of": self.id},
        )

    def with_asr(self, before: bool = False) -> Ticket:
        """Replace all connections by re-parameterised ones, or put one ahead of each.

        Args:
            before: Whether the connections are kept, each behind a re-parameterised one.

        Raises:
            TicketError: The ticket already has connections that are to be folded.
        """
        if self.to_fold:
            raise TicketError(f"ticket {self} already has connections to fold")
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
            TicketError: All blocks are alike, e.g. none is connected: no other is as sparse.
        """
        kept = "".join(self.stages)
        bits = list(zip(kept, "".join(self.asr_stages), strict=True))
        if len(set(bits)) == 1:  # the draw below would never end
            raise TicketError(f"ticket {self} has all blocks alike: no other is as sparse")
        generator = random.Random(seed)
        drawn = bits.copy()
        while drawn == bits:
            generator.shuffle(drawn)
        stages, asr = (
            _cut("".join(group), self.backbone.blocks) for group in zip(*drawn, strict=True)
        )
        return self.replace(
            stages=stages,
            asr=asr if self.asr else (),
            provenance={"strategy": "shuffled", "of": self.id, "seed": seed},
        )


def _backbone(name: str, blocks: Sequence[int] | None) -> BackboneSpec:
    """The backbone of a name, with these blocks per stage or else those that its name implies."""
    blocks = blocks_per_stage(name) if blocks is None else blocks
    if blocks is None:
        raise TicketError(f"{unknown_backbone(name)}; or give its blocks per stage")
    return BackboneSpec(name=name, blocks=tuple(blocks))


def _cut(bits: str, blocks: Sequence[int]) -> tuple[str, ...]:
    """Bits of all blocks in a row, cut into stages."""
    rest = iter(bits)
    return tuple("".join(next(rest) for _ in range(length)) for length in blocks)
