"""SourceHealth: counts of lost connections and damaged frames; and when a live source counts as lost by default."""

from __future__ import annotations

from dataclasses import astuple, dataclass

RECONNECT_S = 30.0
"""Default time to try to reconnect to a lost live source, s."""

STALL_S = 5.0
"""Default time to wait for a frame of a live source, s."""


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """Problems of a source so far.

    Attributes:
        losses: How often a live source was lost: it ended, refused the connection or stalled.
        stalls: Number of losses because no frame came in time.
        reconnections: How often a live source came back. If this is less than `losses`, it is lost now.
        away_s: Total time of the disconnections that ended, in seconds from the last frame before to the first after.
        lost_frames: Frames of a video that are missing because of damage, estimated from timestamps.
        damaged_frames: Frames that were decoded in part; the decoder filled in the rest from their neighbours.
        stream_errors: Damaged parts of a video that its demuxer or decoder reported and skipped.
    """

    losses: int = 0
    stalls: int = 0
    reconnections: int = 0
    away_s: float = 0.0
    lost_frames: int = 0
    damaged_frames: int = 0
    stream_errors: int = 0

    @property
    def is_lost(self) -> bool:
        """Whether a live source is lost now and has not come back."""
        return self.losses > self.reconnections

    def __add__(self, other: SourceHealth) -> SourceHealth:
        """The sums of two sources."""
        return SourceHealth(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))
