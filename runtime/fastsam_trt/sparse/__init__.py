"""Compute boxes and masks of chosen anchors only."""
