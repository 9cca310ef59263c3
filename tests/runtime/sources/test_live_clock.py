"""LiveClock: recordings last as long as what was filmed."""

from __future__ import annotations

import pytest

from fastsam_trt.sources.live_clock import LiveClock


def _media_times(clock: LiveClock, *frames: tuple[float | None, float]) -> list[float]:
    return [clock.advance(stream_s, captured_s) for stream_s, captured_s in frames]


def test_timestamps_count_and_not_when_frames_come() -> None:
    times = _media_times(LiveClock(), (700.0, 10.0), (700.2, 10.0), (700.4, 11.5), (701.0, 11.51))
    assert times == pytest.approx([0, 0.2, 0.4, 1.0])


def test_without_timestamps_the_time_of_capture_counts() -> None:
    assert _media_times(LiveClock(), (None, 10.0), (None, 10.2), (None, 10.7)) == pytest.approx([0, 0.2, 0.7])


def test_a_frame_without_a_timestamp_between_others_has_no_lasting_effect() -> None:
    times = _media_times(LiveClock(), (1.0, 10.0), (None, 10.3), (1.4, 10.3), (1.6, 10.5))
    assert times == pytest.approx([0, 0.3, 0.4, 0.6])
    times = _media_times(LiveClock(), (1.0, 10.0), (None, 10.6), (1.4, 10.6), (1.7, 10.9))
    assert times == pytest.approx([0, 0.6, 0.6, 0.7])


def test_a_loss_lasts_as_long_as_it_did() -> None:
    clock = LiveClock()
    _media_times(clock, (5.0, 10.0), (5.2, 10.2))
    clock.restart()
    assert _media_times(clock, (5.4, 13.2), (5.6, 13.3)) == pytest.approx([3.2, 3.4])


@pytest.mark.parametrize("jump_s", [-5.0, -(2**33) / 90_000, 60.0, 90_000.0])
def test_a_clock_that_was_set_anew_goes_on_by_the_time_of_capture(jump_s: float) -> None:
    start_s = 100_000.0
    times = _media_times(
        LiveClock(),
        *((start_s, 10.0), (start_s + 0.2, 10.2)),
        *((start_s + 0.4 + jump_s, 10.5), (start_s + 0.6 + jump_s, 10.6)),
    )
    assert times == pytest.approx([0, 0.2, 0.5, 0.7])


def test_a_long_pause_is_no_jump() -> None:
    assert _media_times(LiveClock(), (0.0, 10.0), (60.0, 69.0), (60.2, 69.2)) == pytest.approx([0, 60, 60.2])


def test_frames_of_the_opening_are_made_up_for() -> None:
    """Three came in while it was opened, one more is under way; all are 0.2 s apart."""
    clock = LiveClock(began_s=9.4)
    frames = [(10.0, False), (10.001, False), (10.002, False), (10.15, True), (10.35, True), (10.55, True)]
    times = [clock.advance(None, captured_s, waited=waited) for captured_s, waited in frames]
    assert times[3:] == pytest.approx([0.15, 0.35 + 0.4, 0.55 + 0.4])
    assert times == sorted(times)


def test_a_busy_processor_does_not_hide_what_came_in_before() -> None:
    """Two of five that were there already took a while to be read, as if they had been waited for."""
    clock = LiveClock(began_s=8.0)
    read = [(0, False), (1, True), (7, True), (8, False), (9, False), (100, True), (300, True), (500, True)]
    times = [clock.advance(None, 10 + ms / 1e3, waited=waited) for ms, waited in read]
    assert times == sorted(times)
    assert times[-1] == pytest.approx(0.5 + 4 * 0.2)


def test_what_is_made_up_for_is_no_longer_than_the_opening() -> None:
    clock = LiveClock(began_s=9.7)
    frames = [*((10 + i / 1e3, False) for i in range(50)), (10.1, True), (10.2, True), (10.3, True)]
    times = [clock.advance(None, captured_s, waited=waited) for captured_s, waited in frames]
    assert times[-1] == pytest.approx(0.3 + 0.3)


def test_what_came_in_while_a_lost_stream_was_opened_again_does_not_last() -> None:
    """The sender is back 2 s after its last frame, and half a second of it has come in when the first is read."""
    clock = LiveClock()
    _media_times(clock, (5.0, 10.0), (5.2, 10.2))
    clock.restart()
    held = [(i / 10, 12.7 + i / 1e3, False) for i in range(6)]
    frames = [*held, *((i / 10, 12.2 + i / 10, True) for i in range(6, 20))]
    times = [clock.advance(stream_s, captured_s, waited=waited) for stream_s, captured_s, waited in frames]
    assert times == sorted(times)
    assert times[-2:] == pytest.approx([4.0, 4.1])
    assert clock.end(None) == pytest.approx(4.2)
