"""SourceHealth: what went wrong with a live source so far."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """What went wrong with a live source so far.

    Attributes:
        losses: How often the stream was lost: it ended, was refused or stalled.
        stalls: How many of the losses were for want of frames in time.
        reconnections: How often it came back. It is away now where there are fewer of these than losses.
        away_s: How long it was away before it came back, in all: seconds from the last frame before a loss to the
            first one after it.
    """

    losses: int = 0
    stalls: int = 0
    reconnections: int = 0
    away_s: float = 0.0
