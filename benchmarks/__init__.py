"""What the search is measured against; not part of the installed package.

============================  ======================================================================
:mod:`~.commands`             the functions behind ``python tools/benchmark.py COMMAND``
:mod:`~.tables`               scores of all masks of a supernet, so that searches take seconds
:mod:`~.strategies`           search strategies compared on these tables
:mod:`~.masks_per_pass`       how much of a search is lost when a pass scores many masks
:mod:`~.ground_truth`         masks trained from scratch, which show how good a mask really is
:mod:`~.proxy`                how well a supernet's scores rank masks, by the ground truth
:mod:`~.own_network`          a study of the search on a pretrained network and the target task
:mod:`~.own_network_tasks`    its network and its two tasks: CamVid and VGG Cells
:mod:`~.own_network_judge`    what a folder of it shows: searches, proxies, baselines, times
:mod:`~.own_network_results`  the command that writes this as JSON, tables and figures
:mod:`~.own_network_budget`   whether tickets keep a budget on latency when they are timed again
:mod:`~.evidence`             all studies of ``docs/results/`` as comparisons of two arms over seeds
:mod:`~.results_page`         the page docs/results.md, made from them
:mod:`~.zoo`                  the zoo's tickets that were searched here, with the studies' answers
:mod:`~.cost`                 parameters and multiply-accumulates of attention on backbones
:mod:`~.speed`                seconds of scoring masks, of density maps, of folded networks
:mod:`~.startup`              seconds from the command to the end of the first iteration
:mod:`~.modules`              seconds of attention modules, against :mod:`~.literal`, their formulas
:mod:`~.memory`               bytes that training keeps with each attention, and what fewer cost
:mod:`~.large_held_out`       seconds of scoring where images do not fit into memory
:mod:`~.scaling`              time over connections, masks, points and workers
:mod:`~.verdicts`             how often verdicts of studies are wrong, on simulated studies
:mod:`~.faults`               kills, torn files and flipped bits; :mod:`~.fault_cases` has the toys
============================  ======================================================================

``data/`` holds the tables that are shipped.
"""
