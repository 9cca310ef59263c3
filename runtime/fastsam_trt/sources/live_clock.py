"""LiveClock: where the frames of a live source belong in a recording of it."""

from __future__ import annotations

_LARGEST_JUMP_S = 10.0  # as FFmpeg's -dts_delta_threshold


class LiveClock:
    """Times for a recording that lasts as long as what was filmed: from 0, never going back.

    A frame follows the one before by what the stream's timestamps say. The time of capture counts instead where a
    frame has no timestamp, after a loss, and where timestamps go back (the sender began again, or a counter of 33 bits
    began again) or jump ahead by 10 s more than passed.
    """

    def __init__(self) -> None:
        self._media_s = 0.0
        self._captured_s: float | None = None
        self._anchor: tuple[float, float, float] | None = None

    def place(self, stream_s: float | None, captured_s: float) -> float:
        """Where a frame belongs, in seconds.

        Args:
            stream_s: Its presentation time by the stream's own timestamps; None where there are none.
            captured_s: When it was captured, on a clock that never goes back.
        """
        if self._captured_s is None:
            self._captured_s = captured_s
        media_s = self._media_s + captured_s - self._captured_s
        if stream_s is not None:
            if self._anchor is not None:
                last_stream_s, last_media_s, last_captured_s = self._anchor
                step_s = stream_s - last_stream_s
                if 0 <= step_s <= captured_s - last_captured_s + _LARGEST_JUMP_S:
                    media_s = max(last_media_s + step_s, self._media_s)
            self._anchor = stream_s, media_s, captured_s
        self._media_s, self._captured_s = media_s, captured_s
        return media_s

    def restart(self) -> None:
        """The stream was opened again: its timestamps no longer follow those before."""
        self._anchor = None
