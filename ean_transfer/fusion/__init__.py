"""Trained networks made fast for inference: layers folded into each other, outputs checked.

===================  ==================================================================
:mod:`~.optimize`    the whole way: fold, choose the layout, compile, compare
===================  ==================================================================

Plain PyTorch. What folds is elsewhere: BatchNorm in :mod:`ean_transfer.attachment.batchnorm`, which
loading a checkpoint needs as well, and attention in :mod:`ean_transfer.asr.folding`.
"""
