"""LiveClock: where the frames of a live source belong in a recording of it."""

from __future__ import annotations

_LARGEST_JUMP_S = 10.0  # as FFmpeg's -dts_delta_threshold


class LiveClock:
    """Times for a recording that lasts as long as what was filmed: from 0, never going back.

    A frame follows the one before by what the stream's timestamps say. The time of capture counts instead where a
    frame has no timestamp, after a loss, and where timestamps go back (the sender began again, or a counter of 33 bits
    did) or jump ahead by 10 s more than passed.

    Without timestamps, frames that came in while the source was being opened are read at once afterwards. They are
    given the time between later frames each, together at most the time of the opening, as soon as that is known.
    """

    def __init__(self, opening_s: float = 0.0) -> None:
        """Begin.

        Args:
            opening_s: How long it took to open the source.
        """
        self._media_s = 0.0
        self._captured_s: float | None = None
        self._anchor: tuple[float, float, float] | None = None
        self._opening_s = opening_s
        self._held = 0
        self._has_waited = False

    def place(self, stream_s: float | None, captured_s: float, *, waited: bool = True) -> float:
        """Where a frame belongs, in seconds.

        Args:
            stream_s: Its presentation time by the stream's own timestamps; None where there are none.
            captured_s: When it was captured, on a clock that never goes back.
            waited: Whether it was waited for, rather than there already.
        """
        passed_s = 0.0 if self._captured_s is None else captured_s - self._captured_s
        media_s = self._media_s + passed_s
        if stream_s is not None:
            media_s = self._follow(stream_s, captured_s, media_s)
        elif self._opening_s and self._captured_s is not None:
            media_s += self._make_up(passed_s, waited=waited)
        self._media_s, self._captured_s = media_s, captured_s
        return media_s

    def restart(self) -> None:
        """The stream was opened again: its timestamps no longer follow those before."""
        self._anchor = None
        self._opening_s = 0.0

    def _follow(self, stream_s: float, captured_s: float, media_s: float) -> float:
        """The place by the timestamps; the one by the time of capture where they can't be right."""
        if self._anchor is not None:
            last_stream_s, last_media_s, last_captured_s = self._anchor
            step_s = stream_s - last_stream_s
            if 0 <= step_s <= captured_s - last_captured_s + _LARGEST_JUMP_S:
                media_s = last_media_s + step_s
        self._anchor = stream_s, media_s, captured_s
        return max(media_s, self._media_s)

    def _make_up(self, passed_s: float, *, waited: bool) -> float:
        """Time that frames from the opening lack, at the first frame that tells how far apart they are."""
        if not waited:
            self._held += 1
            return 0.0
        if not self._has_waited:  # what passed since the frame before is no more than a part of their distance
            self._has_waited = True
            return 0.0
        lacking_s = min(self._opening_s, self._held * passed_s)
        self._opening_s = 0.0
        return lacking_s
