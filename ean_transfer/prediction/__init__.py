"""Predictions on one's own images and videos, for all tasks and kinds of networks.

======================  ==================================================================
:mod:`~.loading`        a predictor of a config, a work dir, a ticket or an exported file
:mod:`~.exported`       an exported file in the place of a trained model
:mod:`~.files`          predict image files: pictures, tables, a contact sheet
:mod:`~.video`          predict videos: a table of their frames, and a video of the results
:mod:`~.extremes`       the test images on which a network is most wrong and most right
======================  ==================================================================

What a prediction is stands in :mod:`ean_transfer.engine.results`, and what a task adds to it in the
task's own ``inference.py``.
"""

from ean_transfer.prediction.loading import load

__all__ = ["load"]
