"""Plan a run of the benchmark, measure its cells, and record the results."""
