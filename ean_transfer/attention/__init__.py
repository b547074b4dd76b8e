"""Plug-and-play attention modules, one per file, on one contract.

========================  =================================================================
:mod:`~.base`             the contract, and building a module from what a config says
:mod:`~.numerics`         small functions that several modules share
:mod:`~.se` ...           one module per file, named after it; its class has the formula
:mod:`~.reparameterised`  any channel attention with a learned input, to be folded away
:mod:`~.published`        attention weights of timm and mmpretrain in our form
:mod:`~.passes`           products and pools with gradients written by hand, few passes over x
:mod:`~.pooling`          adaptive average pooling as a matrix product
:mod:`~.recompute`        computing again in the backward pass what is not kept in memory
========================  =================================================================

In the formulas, C is the number of channels, GAP the global average pool and sigma the sigmoid.
"""

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
from ean_transfer.attention.reparameterised import ASR
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
