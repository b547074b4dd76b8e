"""Attention without its inference cost: folding what does not depend on the image into the layers.

================  ====================================================================
:mod:`~.folding`  folds re-parameterised attention, or means of other attention
:mod:`~.stripes`  how far attention values depend on the image
:mod:`~.figure`   draws them
:mod:`~.report`   what each connection is worth, and whether to drop, fold or keep it
:mod:`~.compare`  scores a network as trained, folded, and without its attention
================  ====================================================================

ASR is attention-alike structural re-parameterisation. The module that is trained is
:class:`~ean_transfer.attention.ASR`; :mod:`ean_transfer.engine.hooks.stripes` scores stripes during
a training.
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
