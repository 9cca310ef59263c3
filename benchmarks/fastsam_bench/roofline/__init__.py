"""Measure the ceilings of the machine, count the cost of graphs, and compute limits from both."""
