"""Plug-and-play attention modules, one a file, on one contract (:mod:`.base`)."""

from ean_transfer.attention.base import (
    Attention,
    AttentionSpec,
    ChannelAttention,
    attention_options,
    build_attention,
)
from ean_transfer.attention.dia import DIA
from ean_transfer.attention.se import SE
from ean_transfer.attention.sge import SGE

__all__ = [
    "DIA",
    "SE",
    "SGE",
    "Attention",
    "AttentionSpec",
    "ChannelAttention",
    "attention_options",
    "build_attention",
]
