"""SourceHealth: what went wrong with a source so far."""

from __future__ import annotations

from dataclasses import astuple, dataclass


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """What went wrong with a source so far.

    Attributes:
        losses: How often a live source was lost: it ended, was refused or stalled.
        stalls: How many of the losses were for want of frames in time.
        reconnections: How often it came back. It is away now where there are fewer of these than losses.
        away_s: How long it was away before it came back, in all: seconds from the last frame before a loss to the
            first one after it.
        lost_frames: Frames of a video that damage left nothing of, as far as can be told.
        damaged_frames: Frames that were decoded in part; the decoder filled in the rest from those around them.
        stream_errors: Damaged pieces of a video that its demuxer or decoder reported and passed over.
    """

    losses: int = 0
    stalls: int = 0
    reconnections: int = 0
    away_s: float = 0.0
    lost_frames: int = 0
    damaged_frames: int = 0
    stream_errors: int = 0

    def __add__(self, other: SourceHealth) -> SourceHealth:
        """Of two sources together."""
        return SourceHealth(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))
