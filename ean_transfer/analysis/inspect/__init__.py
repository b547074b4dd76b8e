"""What attention does inside a trained network, as pictures and numbers.

=======================  ============================================================
:mod:`~.gradcam`         where a network looks
:mod:`~.similarity`      how alike the blocks attend
:mod:`~.robustness`      accuracy under noise and corruptions
:mod:`~.perturbations`   the noise and the corruptions
:mod:`~.compare`         several networks' segmentations side by side
:mod:`~.augmentation`    augmented training samples
=======================  ============================================================
"""
