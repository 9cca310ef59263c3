"""Masks, decoded only where they are asked for and only inside their boxes."""
