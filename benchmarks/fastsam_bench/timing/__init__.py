"""Clocks, blocks of timings, paired comparisons and noise."""
