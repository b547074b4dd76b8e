"""Plug-and-play attention modules, one a file, on one contract (:mod:`.base`)."""

from ean_transfer.attention.asr import ASR
from ean_transfer.attention.base import (
    Attention,
    AttentionSpec,
    ChannelAttention,
    attention_options,
    build_attention,
)
from ean_transfer.attention.cbam import CBAM
from ean_transfer.attention.coordatt import CoordAtt
from ean_transfer.attention.dia import DIA
from ean_transfer.attention.eca import ECA
from ean_transfer.attention.ie import IE
from ean_transfer.attention.lsas import LSAS
from ean_transfer.attention.se import SE
from ean_transfer.attention.sem import SEM
from ean_transfer.attention.sge import SGE
from ean_transfer.attention.simam import SimAM
from ean_transfer.attention.spa import SPA
from ean_transfer.attention.srm import SRM

__all__ = [
    "ASR",
    "CBAM",
    "DIA",
    "ECA",
    "IE",
    "LSAS",
    "SE",
    "SEM",
    "SGE",
    "SPA",
    "SRM",
    "Attention",
    "AttentionSpec",
    "ChannelAttention",
    "CoordAtt",
    "SimAM",
    "attention_options",
    "build_attention",
]
