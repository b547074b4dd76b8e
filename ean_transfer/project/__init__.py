"""From a folder of labelled images to a project: configs that train, search and compare.

========================  =========================================================================
:mod:`~.splits`           which images train, score masks and test
========================  =========================================================================
"""
