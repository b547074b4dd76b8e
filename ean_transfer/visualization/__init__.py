"""Pictures for people to look at, for all tasks: RGB arrays in, RGB arrays out.

=================  ==================================================================
:mod:`~.picture`   what a picture is, and how one is brought to a size
:mod:`~.text`      one line of text
:mod:`~.sheet`     pictures in rows and columns, with titles and captions
:mod:`~.labels`    label maps over their images, and the legend of their colours
:mod:`~.density`   density maps over their images, with points and counts
:mod:`~.palette`   colours of the figures that matplotlib draws
=================  ==================================================================
"""
