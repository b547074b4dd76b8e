"""Attention for free: what does not depend on the image is folded into the layers.

================  ====================================================================
:mod:`~.folding`  re-parameterised attention into the layers before it; means of others
:mod:`~.stripes`  how far attention values depend on the image
:mod:`~.hooks`    the same while a network is trained
:mod:`~.report`   what each connection is worth: drop, fold or keep it
================  ====================================================================

The module that is trained, :class:`~ean_transfer.attention.ASR`, lies with the other attention.
"""

from ean_transfer.asr.folding import fold, fold_means
from ean_transfer.asr.report import BlockAnalysis
from ean_transfer.asr.stripes import attention_values, stripe_scores

__all__ = [
    "BlockAnalysis",
    "attention_values",
    "fold",
    "fold_means",
    "stripe_scores",
]
