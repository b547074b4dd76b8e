"""Studies: arms x tasks x seeds, with everything held equal but the ticket and its attention.

An *arm* is what a study compares: no attention, attention everywhere, a ticket's, or random ones'.

==========================  ==================================================================
:mod:`~.plan`               what is compared: arms, tasks, seeds, claims; a config's ``study``
:mod:`~.arms`               the arms: kinds, names, places in tables and paths
:mod:`~.claims`             what a study claims, and its verdicts; no torch
:mod:`~.paired`             the statistics that decide them; no torch
:mod:`~.stated`             whether claims were stated before results could be seen
:mod:`~.chance`             what does not vary with the seed
:mod:`~.run`                the whole study, from the searches to ``results.json``
:mod:`~.leak`               the guard against tests on the search's images
:mod:`~.networks`           the ticket and backbone of every arm
:mod:`~.searches`           the search of an arm's ticket
:mod:`~.jobs`               one run: train, test, draw, write ``metrics.json``
:mod:`~.apart`              a search or run in a process of its own
:mod:`~.cluster`            several searches or runs at once, by Dask
:mod:`~.status`             which searches and runs are done, failed, begun or to do
:mod:`~.identity`           which run a folder belongs to
:mod:`~.result`             the results as tables and as data
:mod:`~.report`             the results as one HTML page, in Markdown and as CSV
:mod:`~.strip`              a verdict as a small drawing
:mod:`~.scatter`            metrics against time as a small drawing
:mod:`~.samples`            pictures of predictions for the page
:mod:`~.counting_figure`    how the arms of a counting task learned and counted
:mod:`~.counting_pictures`  where the arms of a counting task are most wrong
==========================  ==================================================================
"""
