"""LostFrames: find out which frames of a damaged stream are lost."""

from __future__ import annotations

import heapq

_LONGEST_GAP_S = 60.0  # a longer gap means that the clock was reset, not that frames were lost
_LATE_S = 1.0  # damage reorders frames within this time; a larger step back means that the clock was reset
_MOST_COMING = 1000  # more than any decoder holds: these frames will never come
_HELD = 17  # the frames that a decoder may hold, plus one


class LostFrames:
    """Compares the packets that went into a decoder with the frames that came out, by presentation time.

    A frame is lost if its packet was decoded without giving a frame, or if packets are missing: bytes were skipped and
    the timestamps around them are further apart than one frame interval. Without damage, packets that give no frame are
    not losses: hidden reference frames, separate fields, and packets before the first key frame.
    """

    def __init__(self, fps: float | None) -> None:
        """Begin a stream.

        Args:
            fps: Nominal frame rate, used until the timestamps show the actual one; None if unknown.
        """
        self.begin_s: float | None = None
        """Timestamp of the first key frame; None before it."""
        self.late = False
        """Whether the latest frame was already counted as lost: damage made it come after later frames."""
        self._step_s = None if fps is None else 1 / fps
        # Heap of the frames whose packets came: number of the clock, timestamp.
        self._coming: list[tuple[int, float]] = []
        self._missing: list[float] = []  # timestamps without a packet, sorted
        self.given_s: float | None = None
        """Timestamp of the latest frame; None before the first."""
        self._came_s: float | None = None
        self._last_dts_s: float | None = None
        self._clock = self._given_clock = 0
        self._gap = self._damaged = False
        self._failures = 0
        self._hidden = False  # whether packets gave no frame without damage

    @property
    def waits(self) -> bool:
        """Whether the frames of some packets have not come yet."""
        return bool(self._coming)

    def report_gap(self) -> None:
        """Note that packets may be missing before the next one."""
        self._gap = self._damaged = True

    def report_failure(self) -> None:
        """Note that a packet could not be decoded."""
        self._failures += 1
        self._damaged = True

    def add(self, time_s: float | None, dts_s: float | None, *, key: bool) -> None:
        """Add a packet.

        Args:
            time_s: Presentation timestamp of its frame; None if it has none.
            dts_s: Decoding timestamp; None if it has none.
            key: Whether it is a key frame.
        """
        gap, self._gap = self._gap, False
        if time_s is None:
            return
        if self.begin_s is None:
            if not key:
                return
            self.begin_s = time_s
        # Decoding timestamps of packets increase, whatever the presentation order.
        back = dts_s is not None and self._last_dts_s is not None and dts_s < self._last_dts_s
        if back or self._is_reset(self._came_s, time_s):
            self._clock += 1
        self._came_s, self._last_dts_s = time_s, dts_s
        if self._clock == 0 and time_s < self.begin_s:
            return
        half_s = self._half_s()
        if self._missing:  # packets are not stored in presentation order: this frame was not missing
            self._missing = [missing_s for missing_s in self._missing if abs(missing_s - time_s) > half_s]
        if gap:
            self._add_missing(self.begin_s if self.given_s is None else self.given_s, time_s)
        if len(self._coming) > _MOST_COMING:
            self._coming.clear()
            self._given_clock = self._clock
        heapq.heappush(self._coming, (self._clock, time_s))

    def _add_missing(self, begin_s: float, end_s: float) -> None:
        """Add the missing frames between two timestamps."""
        if self._step_s is None or not 0 < end_s - begin_s < _LONGEST_GAP_S:
            return
        half_s = self._half_s()
        known = [*(coming_s for _, coming_s in self._coming), *self._missing, end_s]
        between = (begin_s + number * self._step_s for number in range(1, round((end_s - begin_s) / self._step_s)))
        self._missing += [at_s for at_s in between if not any(abs(at_s - known_s) <= half_s for known_s in known)]
        self._missing.sort()

    def take(self, time_s: float) -> int:
        """Add a frame from the decoder.

        Args:
            time_s: Presentation timestamp; infinity at the end of the stream.

        Returns:
            Number of frames lost before it.
        """
        half_s = self._half_s()
        if self._is_reset(self.given_s, time_s):
            self._given_clock += 1
        if self._coming and self._coming[0][0] > self._given_clock:  # no frames of the previous clock are left
            self._given_clock = self._coming[0][0]
        known = [clock for clock, coming_s in self._coming if abs(coming_s - time_s) <= half_s]
        self._given_clock = max(self._given_clock, min(known, default=0))  # its other timestamps were damaged
        self.late = self._damaged and not known and self.given_s is not None and 0 <= self.given_s - time_s < _LATE_S
        if self.late:
            return 0
        due = (self._clock + 1 if time_s == float("inf") else self._given_clock, time_s - half_s)
        silent = []
        while self._coming and self._coming[0] < due:
            silent.append(heapq.heappop(self._coming))
        if self._coming and abs(self._coming[0][1] - time_s) <= half_s:
            heapq.heappop(self._coming)
        self._hidden = self._hidden or bool(silent and not self._damaged)
        if self._hidden:
            silent = silent[: self._failures]
            self._failures -= len(silent)
        missing = [missing_s for missing_s in self._missing if missing_s < time_s - half_s]
        self._missing = self._missing[len(missing) :]
        if self.given_s is not None and not self._damaged:
            self._learn_step(time_s - self.given_s)
        self.given_s = time_s
        return len(silent) + len(missing)

    def _learn_step(self, step_s: float) -> None:
        """Update the frame interval, if it differs from the nominal one by more than a container's rounding."""
        if 0 < step_s < _LONGEST_GAP_S and (self._step_s is None or not 0.8 < step_s / self._step_s < 1.25):
            self._step_s = step_s

    def _is_reset(self, before_s: float | None, time_s: float) -> bool:
        """Whether the clock was reset between two timestamps."""
        return before_s is not None and before_s - time_s > max(_LATE_S, _HELD * (self._step_s or 0.0))

    def _half_s(self) -> float:
        return 1e-6 if self._step_s is None else self._step_s / 2
