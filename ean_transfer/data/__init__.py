"""What the data of all tasks share: what configs say of them, loading, augmentation, tiles.

=======================  ====================================================
:mod:`~.config`          what a data set's config says: innermost, classes, RGB
:mod:`~.loading`         the first step of a pipeline: read an image strictly
:mod:`~.albumentations`  augmentation from a config, drawn by the worker's seed
:mod:`~.tiles`           large images in overlapping tiles
=======================  ====================================================
"""
