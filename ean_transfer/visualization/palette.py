"""Colours of all figures: Okabe and Ito's palette, which colour-blind readers can tell apart."""

BLUE, ORANGE, VERMILION, GREEN, GREY = "#0072B2", "#E69F00", "#D55E00", "#009E73", "#8a8a8a"

COLOURS = (BLUE, ORANGE, GREEN, VERMILION, "#CC79A7", "#56B4E9", "black", GREY)
"""One colour per line of a figure, in this order."""
