"""What attention does inside a trained network, as pictures and numbers.

=======================  ==========================================================
:mod:`~.gradcam`         where networks look, on test images
:mod:`~.similarity`      how alike the blocks of a network attend
:mod:`~.robustness`      accuracy under noise and corruptions of rising strength
:mod:`~.perturbations`   the noise and the corruptions themselves
:mod:`~.compare`         segmentations of several networks side by side
:mod:`~.augmentation`    what the training pipeline makes of images
:mod:`~.samples`         which images are looked at, and their labels
=======================  ==========================================================
"""

import ean_transfer._mmseg  # noqa: F401 - first, it keeps the next imports quiet
