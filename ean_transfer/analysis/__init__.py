"""Measuring and showing: parameters, latency, figures, the HTML report."""
