"""Counting, timing and storing what masks cost.

========================  ======================================================================
:mod:`~.table`            tables of costs: a sum over stages and connections, saved as a file
:mod:`~.counting`         parameters and operations, of each connection and of the plain network
:mod:`~.measuring`        what each connection adds to the time, eager or compiled
:mod:`~.kept`             the tables of one search, kept in its work dir
:mod:`~.report`           all costs of one ticket on one network, beside the plain network
:mod:`~.benchmark`        several tickets of one network side by side, in inference and training
:mod:`~.benchmark_figure` time against memory, a point for each of them
========================  ======================================================================
"""
