"""Studies: arms x tasks x seeds, with everything held equal but the ticket and its attention.

An *arm* is what a study compares: no attention, attention everywhere, a ticket's, or random ones'.

==========================  ==================================================================
:mod:`~.plan`               what is compared: arms, tasks, seeds; read from a config's ``study``
:mod:`~.run`                the whole study, from the search to ``results.json``
:mod:`~.leak`               the guard against tests on the search's images
:mod:`~.networks`           the ticket and backbone of every arm
:mod:`~.jobs`               one run: train, test, draw, write ``metrics.json``
:mod:`~.identity`           which run a folder belongs to
:mod:`~.result`             the results as tables and as data
:mod:`~.report`             the results as one HTML page
:mod:`~.samples`            pictures of predictions for the page
:mod:`~.counting_figure`    how the arms of a counting task learned and counted
:mod:`~.counting_pictures`  where the arms of a counting task are most wrong
==========================  ==================================================================
"""
