"""The commands of the program ``ean`` and of ``tools/*.py``: one module per command.

=====================  ===========================================================================
:mod:`~.main`          the program: finds the command that was typed and runs it
:mod:`~.parser`        the argument parser and every flag that several commands have
:mod:`~.paths`         checks files and data folders before torch is imported
:mod:`~.errors`        bad input as one line instead of a traceback
:mod:`~.switches`      the switches of train, search and test that change a config
:mod:`~.output`        results as tables, on standard output or in a file
:mod:`~.search`        search a ticket
:mod:`~.train`         train a network of any task
:mod:`~.test`          evaluate a checkpoint
:mod:`~.predict`       count or segment one's own images
:mod:`~.ticket`        show, convert, compare and check tickets
:mod:`~.study`         compare arms over tasks and seeds
:mod:`~.export`        write a trained network as ONNX, .pt2 or a folded checkpoint
:mod:`~.dataset`       check a data set's folder; look at augmented samples
:mod:`~.inspect`       Grad-CAM, similarity, robustness; networks side by side
:mod:`~.fold`          what attention is worth, and what is left after folding it
:mod:`~.benchmark`     measure the search, the costs and the speed
=====================  ===========================================================================

A command's module has ``add_arguments(parser)``, which declares its arguments and sets ``run``, a
function that takes the parsed arguments and returns an exit code or nothing. Modules import torch
and mmengine inside these functions, so that ``--help`` and mistyped arguments are answered at once.
"""
