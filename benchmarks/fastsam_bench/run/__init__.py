"""A run of the benchmark: its plan, its cells and its record."""
