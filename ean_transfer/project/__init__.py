"""From a folder of labelled images to a project: configs that train, search and compare.

========================  =========================================================================
:mod:`~.first_look`       whether the folder seems to be the task's, by names alone
:mod:`~.data`             what the folder holds: images, sizes, classes, faults
:mod:`~.splits`           which images train, score masks and test
:mod:`~.machine`          cores, memory, an accelerator
:mod:`~.choices`          network, image size, batch, schedule, with reasons
:mod:`~.minutes`          a schedule that fits into a time
:mod:`~.write`            the configs
========================  =========================================================================
"""
