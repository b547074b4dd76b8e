"""Data code that all tasks share: their configs, loading, augmentation, tiles.

=======================  ====================================================
:mod:`~.config`          colour order, class names, innermost data set
:mod:`~.folder_report`   what reports on folders of labelled images have in common
:mod:`~.held_out`        a part of a training set for the search, and the rest
:mod:`~.image_names`     names of a data set's images, to compare two data sets
:mod:`~.loading`         the first step of a pipeline: read an image strictly
:mod:`~.conversion`      labels of other tools, read for every task
:mod:`~.plain`           lists of a split's images, and the names of the classes
:mod:`~.albumentations`  augmentation from a config, drawn by the worker's seed
:mod:`~.tiles`           large images in overlapping tiles
=======================  ====================================================
"""
