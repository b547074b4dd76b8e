"""Colours of all figures: from Okabe and Ito's palette, which colour-blind readers can tell apart."""

BLUE, ORANGE, VERMILION, GREEN, GREY = "#0072B2", "#E69F00", "#D55E00", "#009E73", "#8a8a8a"
