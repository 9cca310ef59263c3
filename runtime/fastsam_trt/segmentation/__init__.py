"""Segment a frame: the model, its decoder, and its candidate segments."""
