"""Benchmarks: how fast a machine is, where the time goes, and how far that is from what the chip could do."""
