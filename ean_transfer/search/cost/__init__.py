"""What a mask costs.

===================  ================================================================
:mod:`~.table`       tables of costs: a sum over stages and connections, kept as a file
:mod:`~.measuring`   counting parameters and operations, timing connections
===================  ================================================================
"""
