"""Measuring and looking at trained networks.

=================  ================================================================
:mod:`~.latency`   time per image, several networks interleaved; the one stopwatch
:mod:`~.memory`    bytes that a pass saves for its backward pass, and its peak
:mod:`~.places`    where attention could go in a network, and the time of each place
:mod:`~.scoring`   a test metric of several networks on the same images
:mod:`~.inspect`   what attention does inside a network, as pictures and numbers
=================  ================================================================
"""
