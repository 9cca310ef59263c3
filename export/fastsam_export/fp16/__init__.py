"""Convert exported graphs to fp16, and compare them with their fp32 graphs."""
