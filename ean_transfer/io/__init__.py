"""Reading and writing safely, and text for terminals.

======================  ====================================================================
:mod:`~.files`          writing files in one step, and never over a file of somebody else
:mod:`~.records`        base of data classes that are kept as JSON files
:mod:`~.checked`        checks of settings, records and arguments by their types
:mod:`~.images`         reading images and label images, whole and without clipping
:mod:`~.image_headers`  what an image's header says: orientation, bits, pages
:mod:`~.image_files`    which files of a folder are images, and what is left out
:mod:`~.sources`        where weights come from: files, addresses, published names
:mod:`~.checkpoint`     reading checkpoints without running code from them
:mod:`~.hashes`         the hash of a network's weights
:mod:`~.annotations`    mmengine's readers of annotation files, without pickles
:mod:`~.stand_ins`      what NumPy's and mmengine's names in a checkpoint stand for
:mod:`~.terminal`       escapes control characters before text reaches a terminal
:mod:`~.tables`         tables for a terminal and in Markdown
:mod:`~.progress`       progress bars
:mod:`~.notices`        what of a run's log reaches the terminal
======================  ====================================================================

:mod:`~.files`, :mod:`~.records`, :mod:`~.checked` and :mod:`~.terminal` load no torch.
"""
