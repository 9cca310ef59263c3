"""LiveClock: recordings last as long as the filmed events."""

from __future__ import annotations

import pytest

from fastsam_trt.sources.live_clock import LiveClock


def _media_times(clock: LiveClock, *frames: tuple[float | None, float]) -> list[float]:
    return [clock.advance(stream_s, captured_s) for stream_s, captured_s in frames]


def test_timestamps_are_used_rather_than_arrival_times() -> None:
    times = _media_times(LiveClock(), (700.0, 10.0), (700.2, 10.0), (700.4, 11.5), (701.0, 11.51))
    assert times == pytest.approx([0, 0.2, 0.4, 1.0])


def test_without_timestamps_capture_times_are_used() -> None:
    assert _media_times(LiveClock(), (None, 10.0), (None, 10.2), (None, 10.7)) == pytest.approx([0, 0.2, 0.7])


def test_a_frame_without_a_timestamp_between_others_has_no_lasting_effect() -> None:
    times = _media_times(LiveClock(), (1.0, 10.0), (None, 10.3), (1.4, 10.3), (1.6, 10.5))
    assert times == pytest.approx([0, 0.3, 0.4, 0.6])
    times = _media_times(LiveClock(), (1.0, 10.0), (None, 10.6), (1.4, 10.6), (1.7, 10.9))
    assert times == pytest.approx([0, 0.6, 0.6, 0.7])


def test_a_loss_keeps_its_duration() -> None:
    clock = LiveClock()
    _media_times(clock, (5.0, 10.0), (5.2, 10.2))
    clock.restart()
    assert _media_times(clock, (5.4, 13.2), (5.6, 13.3)) == pytest.approx([3.2, 3.4])


@pytest.mark.parametrize("jump_s", [-5.0, -(2**33) / 90_000, 60.0, 90_000.0])
def test_after_a_clock_reset_capture_times_are_used(jump_s: float) -> None:
    start_s = 100_000.0
    times = _media_times(
        LiveClock(),
        *((start_s, 10.0), (start_s + 0.2, 10.2)),
        *((start_s + 0.4 + jump_s, 10.5), (start_s + 0.6 + jump_s, 10.6)),
    )
    assert times == pytest.approx([0, 0.2, 0.5, 0.7])


def test_a_long_pause_is_not_a_clock_reset() -> None:
    assert _media_times(LiveClock(), (0.0, 10.0), (60.0, 69.0), (60.2, 69.2)) == pytest.approx([0, 60, 60.2])


def test_frames_buffered_during_opening_get_an_interval_each() -> None:
    """Three frames arrive during opening and one more soon after; all are 0.2 s apart."""
    clock = LiveClock(began_s=9.4)
    frames = [(10.0, False), (10.001, False), (10.002, False), (10.15, True), (10.35, True), (10.55, True)]
    times = [clock.advance(None, captured_s, waited=waited) for captured_s, waited in frames]
    assert times[3:] == pytest.approx([0.15, 0.35 + 0.4, 0.55 + 0.4])
    assert times == sorted(times)


def test_a_busy_processor_does_not_hide_buffered_frames() -> None:
    """Two of five buffered frames take a while to be read, as if the reader had waited for them."""
    clock = LiveClock(began_s=8.0)
    read = [(0, False), (1, True), (7, True), (8, False), (9, False), (100, True), (300, True), (500, True)]
    times = [clock.advance(None, 10 + ms / 1e3, waited=waited) for ms, waited in read]
    assert times == sorted(times)
    assert times[-1] == pytest.approx(0.5 + 4 * 0.2)


def test_added_time_is_no_longer_than_the_opening() -> None:
    clock = LiveClock(began_s=9.7)
    frames = [*((10 + i / 1e3, False) for i in range(50)), (10.1, True), (10.2, True), (10.3, True)]
    times = [clock.advance(None, captured_s, waited=waited) for captured_s, waited in frames]
    assert times[-1] == pytest.approx(0.3 + 0.3)


def test_frames_buffered_during_a_reconnection_cause_no_lasting_shift() -> None:
    """The sender is back 2 s after its last frame; half a second of video is buffered at the first read."""
    clock = LiveClock()
    _media_times(clock, (5.0, 10.0), (5.2, 10.2))
    clock.restart()
    held = [(i / 10, 12.7 + i / 1e3, False) for i in range(6)]
    frames = [*held, *((i / 10, 12.2 + i / 10, True) for i in range(6, 20))]
    times = [clock.advance(stream_s, captured_s, waited=waited) for stream_s, captured_s, waited in frames]
    assert times == sorted(times)
    assert times[-2:] == pytest.approx([4.0, 4.1])
    assert clock.end(None) == pytest.approx(4.2)
