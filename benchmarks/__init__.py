"""What the search is measured against; not part of the installed package.

======================  ========================================================================
:mod:`~.commands`       the functions behind ``python tools/benchmark.py COMMAND``
:mod:`~.tables`         scores of all masks of a supernet, so that searches take seconds
:mod:`~.strategies`     search strategies compared on these tables
:mod:`~.ground_truth`   masks trained from scratch, which show how good a mask really is
:mod:`~.proxy`          how well a supernet's scores rank masks, judged by the ground truth
:mod:`~.cost`           parameters and multiply-accumulates of attention on backbones
:mod:`~.speed`          seconds of scoring masks, of density maps, of folded networks
:mod:`~.faults`         kills, torn files and flipped bits; :mod:`~.fault_cases` has the toy runs
======================  ========================================================================

``data/`` holds the tables that are shipped.
"""
