"""Counting, timing and storing what masks cost.

===================  ===========================================================================
:mod:`~.table`       tables of costs: a sum over stages and connections, saved as a file
:mod:`~.measuring`   counting parameters and operations, timing connections
:mod:`~.kept`        the tables of one search, kept in its work dir
===================  ===========================================================================
"""
