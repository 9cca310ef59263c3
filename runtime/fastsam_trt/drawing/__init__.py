"""Draw results on frames."""
