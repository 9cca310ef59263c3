"""How far a header's count of frames may be off."""

from __future__ import annotations

HEADER_SLACK = 2
"""Frames by which a header's count may be off, being a duration times a rate."""
