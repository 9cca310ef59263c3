"""The machine's measured ceilings, the cost of graphs, and the limits that follow."""
