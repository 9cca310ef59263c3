"""Test flows: order, dropped frames, frame age, errors, endings and statistics."""

from __future__ import annotations

import itertools
import json
import math
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from fastsam_trt import streaming
from fastsam_trt.errors import FlowNotEnteredError, OptionError, TruncatedSourceError
from fastsam_trt.frames.rectangles import Rectangle
from fastsam_trt.results.result import Result
from fastsam_trt.sources import Frame, Kind, Source, SourceHealth
from fastsam_trt.streaming import Flow, FlowStats, Policy, resolve_policy
from fastsam_trt.streaming.channel import Channel, LatestSlot
from fastsam_trt.streaming.histogram import Histogram, RollingHistogram
from fastsam_trt.streaming.policy import Pacer
from support.made_results import made_result
from support.typed import present
from support.waiting import signal_after

WAIT_S = 60.0


class FakeSource(Source):
    """A source whose frames come from a function, which may block; `finished` is set when the iteration ends."""

    def __init__(self, kind: Kind, frames: Callable[[FakeSource], Iterator[Frame]], fps: float | None = None) -> None:
        self.kind = kind
        self.fps = fps
        self.finished = threading.Event()
        self.stopped = threading.Event()
        self._frames = frames

    def __iter__(self) -> Iterator[Frame]:
        try:
            yield from self._frames(self)
        finally:
            self.finished.set()

    @property
    def health(self) -> SourceHealth:
        return SourceHealth(losses=2, reconnections=2, away_s=1.5)

    def stop(self) -> None:
        self.stopped.set()


@dataclass
class FakePipeline:
    """A pipeline that passes frame numbers on; `segment` and `select` first call a function with the number."""

    before_segment: Callable[[int], object] = lambda _: None
    before_select: Callable[[int], object] = lambda _: None
    pending: tuple[int, ...] = ()
    reserve_ms: float = 0.0
    begun: list[int] = field(default_factory=list)
    captured_s: list[float | None] = field(default_factory=list)
    media_s: list[float | None] = field(default_factory=list)
    rectangles: list[Rectangle | None] = field(default_factory=list)

    def segment(
        self,
        frame: np.ndarray,
        *,
        captured_s: float | None = None,
        media_s: float | None = None,
        rectangle: Rectangle | None = None,
    ) -> int:
        number = int(frame[0, 0, 0])
        self.begun.append(number)
        self.captured_s.append(captured_s)
        self.media_s.append(media_s)
        self.rectangles.append(rectangle)
        self.before_segment(number)
        return number

    def select(self, segmented: int) -> Result:
        self.before_select(segmented)
        return made_result([np.ones((4, 4), bool)], pending=self.pending, size=(4, 4))


def _pipeline(stage: str, before: Callable[[int], object]) -> FakePipeline:
    """Return a pipeline that calls a function before a stage, `segment` or `select`, of each frame."""
    return FakePipeline(before_segment=before) if stage == "segment" else FakePipeline(before_select=before)


def make_frame(number: int, **given: Any) -> Frame:
    return Frame(np.full((1, 1, 3), number % 256, np.uint8), number, "fake", **given)


def count(n: int) -> Callable[[FakeSource], Iterator[Frame]]:
    return lambda _: map(make_frame, range(n))


def forever(source: FakeSource) -> Iterator[Frame]:
    for number in itertools.count():
        if source.stopped.wait(0.001):
            return
        yield make_frame(number)


@pytest.fixture(autouse=True)
def _all_threads_have_ended() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def numbers(flow: Flow) -> list[int]:
    return [frame.index for frame, _ in flow]


@pytest.mark.parametrize("kind", ["images", "video"])
def test_every_frame_comes_once_and_in_order(kind: Kind) -> None:
    source, pipeline = FakeSource(kind, count(200)), FakePipeline()
    with Flow(source, pipeline) as flow:
        assert flow.policy == "every"
        assert numbers(flow) == list(range(200))
    assert pipeline.begun == list(range(200))
    assert flow.ended
    assert not source.stopped.is_set()


@pytest.mark.parametrize(("kind", "rectangle"), [("images", "common"), ("video", "smallest"), ("live", "smallest")])
def test_frames_of_one_size_get_the_smallest_rectangle(kind: Kind, rectangle: Rectangle) -> None:
    pipeline = FakePipeline()
    with Flow(FakeSource(kind, count(3)), pipeline, "every") as flow:
        assert len(numbers(flow)) == 3
    assert pipeline.rectangles == [rectangle] * 3


def test_stages_run_at_the_same_time() -> None:
    """Each stage waits until the others process another frame, which needs a thread per stage."""
    meeting = threading.Barrier(3, timeout=WAIT_S)
    pipeline = FakePipeline(
        before_segment=lambda number: 2 <= number < 12 and meeting.wait(),
        before_select=lambda number: 1 <= number < 11 and meeting.wait(),
    )
    with Flow(FakeSource("video", count(12)), pipeline) as flow:
        for frame, _ in flow:
            if frame.index < 10:
                meeting.wait()
    assert pipeline.begun == list(range(12))


def test_every_holds_up_the_source_if_the_consumer_is_slow() -> None:
    read: list[int] = []

    def frames(source: FakeSource) -> Iterator[Frame]:
        for number in range(100):
            read.append(number)
            yield make_frame(number)

    with Flow(FakeSource("video", frames), FakePipeline()) as flow:
        next(flow)
        time.sleep(0.1)
        assert len(read) < 15
        assert sum(flow.stats.snapshot().queues.values()) <= 6
        assert numbers(flow) == list(range(1, 100))
    assert flow.stats.snapshot().dropped == 0


def test_latest_drops_and_never_holds_up_the_source() -> None:
    first, go_on = threading.Event(), threading.Event()

    def frames(source: FakeSource) -> Iterator[Frame]:
        yield make_frame(0)
        assert first.wait(WAIT_S)
        yield from map(make_frame, range(1, 100))

    def before_segment(number: int) -> None:
        first.set()
        assert go_on.wait(WAIT_S)

    source = FakeSource("live", frames)
    with Flow(source, FakePipeline(before_segment)) as flow:
        assert flow.policy == "latest"
        assert source.finished.wait(WAIT_S)  # the source ended while the first frame was being segmented
        go_on.set()
        assert numbers(flow) == [0, 99]
    snapshot = flow.stats.snapshot()
    assert (snapshot.captured, snapshot.dropped, snapshot.frames) == (100, 98, 2)


@pytest.mark.parametrize("policy", ["latest", "every"])
def test_frames_that_wait_at_a_stop_count_as_dropped(policy: Policy) -> None:
    begun, read, stopped = threading.Event(), threading.Event(), threading.Event()

    def frames(source: FakeSource) -> Iterator[Frame]:
        yield make_frame(0)
        assert begun.wait(WAIT_S)
        yield from map(make_frame, (1, 2))
        read.set()
        assert stopped.wait(WAIT_S)
        yield make_frame(3)  # read after the stop

    def before_segment(_: int) -> None:
        begun.set()
        assert stopped.wait(WAIT_S)

    with Flow(FakeSource("live", frames), FakePipeline(before_segment), policy) as flow:
        assert read.wait(WAIT_S)
        flow.stop()
        stopped.set()
        assert numbers(flow) == [0]
    snapshot = flow.stats.snapshot()
    assert (snapshot.captured, snapshot.frames, snapshot.dropped) == (4, 1, 3)


def test_latest_begins_no_frame_while_another_waits_behind_the_segmenter() -> None:
    waiting = threading.Semaphore(0)

    def frames(source: FakeSource) -> Iterator[Frame]:
        yield make_frame(0)
        assert waiting.acquire(timeout=WAIT_S)  # 0 is being selected from, then taken
        yield make_frame(1)
        assert waiting.acquire(timeout=WAIT_S)
        yield from map(make_frame, range(2, 6))

    source = FakeSource("live", frames)
    pipeline = FakePipeline(before_select=lambda _: waiting.release())
    with Flow(source, pipeline) as flow:
        assert next(flow)[0].index == 0
        assert source.finished.wait(WAIT_S)  # 1 waits to be taken or is being selected from; 2 to 5 have been read
        time.sleep(0.05)
        assert len(set(pipeline.begun) & {2, 3, 4, 5}) <= 1  # one may have begun while 1 was being selected from
        assert numbers(flow)[-1] == 5
    assert len(set(pipeline.begun) & {2, 3, 4}) <= 1


@pytest.mark.parametrize("pending", [(), (0,)])
def test_while_decisions_are_pending_segmenting_waits_for_selecting(pending: tuple[int, ...]) -> None:
    source = FakeSource("live", forever)
    side_by_side: list[bool] = []

    def select(number: int) -> None:
        end_s = time.perf_counter() + (0.05 if pending else WAIT_S)
        while pipeline.begun[-1] == number and time.perf_counter() < end_s:
            if source.stopped.wait(0.001):
                return
        side_by_side.append(pipeline.begun[-1] != number)

    pipeline = FakePipeline(before_select=select, pending=pending)
    with Flow(source, pipeline) as flow:
        for _ in range(8):
            next(flow)
    assert len(side_by_side) >= 7
    assert set(side_by_side[1:]) == {not pending}  # the second frame began before the first had pending decisions


def test_frames_do_not_age_if_the_source_is_faster() -> None:
    """Each frame that comes out lets the source give ten more, so that nine of ten have to be dropped."""
    each = 10
    to_give, given = threading.Semaphore(each), threading.Semaphore(0)

    def frames(source: FakeSource) -> Iterator[Frame]:
        for number in range(300):
            assert to_give.acquire(timeout=WAIT_S)
            yield make_frame(number)
            given.release()

    pipeline = FakePipeline()
    ages: list[int] = []  # in frames of the source
    newest = 0
    with Flow(FakeSource("live", frames), pipeline) as flow:
        for frame, _ in flow:
            while given.acquire(blocking=False):
                newest += 1
            ages.append(newest - frame.index)
            to_give.release(each)
    snapshot = flow.stats.snapshot()
    assert snapshot.frames > 5
    assert snapshot.dropped > 100
    # One is being segmented, one waits for it to be selected from, one is being selected from, one is out.
    assert max(ages) <= 4 * each


def test_every_drops_no_frame_of_a_live_source() -> None:
    with Flow(FakeSource("live", count(50)), FakePipeline(), "every") as flow:
        assert numbers(flow) == list(range(50))


def test_latest_plays_a_file_at_its_own_speed() -> None:
    def frames(source: FakeSource) -> Iterator[Frame]:
        times_s = [number * 0.02 for number in range(10)]
        return (make_frame(n, timestamp_s=5 + at, captured_s=0.0, media_s=at) for n, at in enumerate(times_s))

    pipeline = FakePipeline()
    start_s = time.perf_counter()
    with Flow(FakeSource("video", frames), pipeline, "latest") as flow:
        found = numbers(flow)
    assert found == sorted(set(found))
    assert found[-1] == 9
    assert time.perf_counter() - start_s >= 0.18
    due_s = start_s + 0.02 * np.array(found)
    assert (np.array(pipeline.captured_s) >= due_s).all()
    assert pipeline.media_s == [number * 0.02 for number in found]


def test_frames_without_timestamps_are_paced_by_the_frame_rate() -> None:
    pacer = Pacer(100.0)
    released = [pacer.wait_until_due(make_frame(number)) for number in range(0, 20, 2)]
    times = np.array([present(frame).captured_s for frame in released])
    assert (times - times[0] >= np.arange(10) * 0.01 - 1e-4).all()


def test_a_stop_ends_the_wait_for_a_frame_that_is_due_later() -> None:
    def frames(source: FakeSource) -> Iterator[Frame]:
        yield make_frame(0, timestamp_s=0.0)
        yield make_frame(1, timestamp_s=1000.0)

    with Flow(FakeSource("video", frames), FakePipeline(), "latest") as flow:
        next(flow)
        flow.stop()
        assert numbers(flow) == []


def test_impossible_policies_are_refused() -> None:
    with pytest.raises(OptionError, match="auto, latest or every"):
        resolve_policy("newest", FakeSource("video", count(1)))
    with pytest.raises(OptionError, match="for images"):
        Flow(FakeSource("images", count(1)), FakePipeline(), "latest")
    assert [resolve_policy("auto", FakeSource(kind, count(1))) for kind in ("images", "video", "live")] == [
        "every",
        "every",
        "latest",
    ]


def test_an_error_of_the_source_comes_after_all_its_frames() -> None:
    error = TruncatedSourceError("fake", 7, 9)

    def frames(source: FakeSource) -> Iterator[Frame]:
        yield from map(make_frame, range(7))
        raise error

    found = []
    with Flow(FakeSource("video", frames), FakePipeline()) as flow, pytest.raises(TruncatedSourceError) as caught:
        found.extend(frame.index for frame, _ in flow)
    assert caught.value is error
    assert "frames" in [entry.name for entry in caught.traceback]
    assert error.__notes__ == ["raised in the stage 'capture' of a flow"]


@pytest.mark.parametrize("policy", ["latest", "every"])
@pytest.mark.parametrize("stage", ["segment", "select"])
def test_an_error_of_a_stage_comes_after_the_frames_before_it(stage: str, policy: Policy) -> None:
    error = ZeroDivisionError("fake")
    seen: list[int] = []

    def fail(number: int) -> None:
        seen.append(number)
        if len(seen) == 4:
            raise error

    pipeline = _pipeline(stage, fail)
    source = FakeSource("live", forever)
    found = []
    with Flow(source, pipeline, policy) as flow:
        with pytest.raises(ZeroDivisionError) as caught:
            for frame, _ in flow:
                found.append(frame.index)
        assert found == seen[:3]
        assert next(flow, None) is None  # raised only once
    assert caught.value is error
    assert "fail" in [entry.name for entry in caught.traceback]
    assert error.__notes__ == [f"raised in the stage {stage!r} of a flow"]
    assert source.stopped.is_set()


def test_an_error_of_the_consumer_ends_all_threads() -> None:
    source = FakeSource("live", forever)
    with pytest.raises(ZeroDivisionError), Flow(source, FakePipeline()) as flow:
        for _ in flow:
            1 / 0  # noqa: B018
    assert flow.ended
    assert source.stopped.is_set()


@pytest.mark.parametrize("policy", ["latest", "every"])
def test_a_consumer_that_breaks_ends_all_threads(policy: Policy) -> None:
    with Flow(FakeSource("live", forever), FakePipeline(), policy) as flow:
        next(flow)
        for _ in flow:
            break
    assert flow.ended
    assert flow.stats.snapshot().frames == 2  # including the frame at the break


def test_a_consumer_that_takes_nothing_ends_all_threads() -> None:
    with Flow(FakeSource("video", count(100)), FakePipeline()) as flow:
        time.sleep(0.02)
    assert flow.ended


@pytest.mark.parametrize("policy", ["latest", "every"])
def test_frames_that_had_begun_come_out_after_a_stop(policy: Policy) -> None:
    pipeline = FakePipeline()
    found = []
    with Flow(FakeSource("live", forever), pipeline, policy) as flow:
        for frame, _ in flow:
            found.append(frame.index)
            if len(found) == 5:
                flow.stop()
                flow.stop()
        assert flow.stopping
    assert 5 <= len(found) <= 5 + 7
    assert found == pipeline.begun


def test_a_signal_may_stop_it_while_its_thread_waits() -> None:
    def frames(source: FakeSource) -> Iterator[Frame]:
        yield make_frame(0)
        assert source.stopped.wait(WAIT_S)

    with Flow(FakeSource("live", frames), FakePipeline()) as flow:
        assert next(flow)[0].index == 0
        with signal_after(0.05, flow.stop):
            assert numbers(flow) == []


def test_an_interrupt_comes_through_while_its_thread_waits() -> None:
    def frames(source: FakeSource) -> Iterator[Frame]:
        source.stopped.wait()
        yield from ()

    timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt), Flow(FakeSource("live", frames), FakePipeline()) as flow:
        timer.start()
        next(flow)
    assert flow.ended
    timer.join()


def test_a_second_interrupt_does_not_wait_for_busy_stages() -> None:
    go_on = threading.Event()
    flow = Flow(FakeSource("live", forever), FakePipeline(lambda _: go_on.wait(WAIT_S)))
    with pytest.raises(KeyboardInterrupt), flow:
        flow.stop()
        raise KeyboardInterrupt
    assert not flow.ended
    go_on.set()
    for each in flow._stages:
        each.join(WAIT_S)


@pytest.mark.parametrize("stage", ["segment", "select", "capture"])
def test_a_stop_with_a_limit_does_not_wait_for_a_stuck_stage(stage: str) -> None:
    go_on = threading.Event()

    def stick(number: int) -> None:
        if number == 3:
            assert go_on.wait(WAIT_S)

    def frames(source: FakeSource) -> Iterator[Frame]:
        for number in range(6):
            if stage == "capture":
                stick(number)
            yield make_frame(number)

    pipeline = FakePipeline() if stage == "capture" else _pipeline(stage, stick)
    found = []
    with Flow(FakeSource("video", frames), pipeline) as flow:
        for frame, _ in flow:
            found.append(frame.index)
            if frame.index == 2:
                flow.stop()
                flow.stop(0.1)  # overrides the first
    assert found == [0, 1, 2]
    assert flow.stats.snapshot().frames == 3
    assert not flow.ended  # it was not waited for
    go_on.set()
    for each in flow._stages:
        each.join(WAIT_S)


def test_a_signal_handler_may_stop_with_a_limit() -> None:
    go_on = threading.Event()
    pipeline = FakePipeline(lambda number: number == 1 and go_on.wait(WAIT_S))
    try:
        with Flow(FakeSource("video", count(5)), pipeline) as flow, signal_after(0.1, lambda: flow.stop(0.05)):
            assert numbers(flow) == [0]
    finally:
        go_on.set()
    for each in flow._stages:
        each.join(WAIT_S)


def test_selected_frames_come_out_after_the_limit_too() -> None:
    with Flow(FakeSource("video", count(5)), FakePipeline()) as flow:
        next(flow)
        while flow.stats.snapshot().queues["selected"] < 2:
            time.sleep(0.001)
        flow.stop(0)
        time.sleep(0.01)
        assert len(numbers(flow)) >= 2
    for stage in flow._stages:  # the `with` block did not wait for them
        stage.join(WAIT_S)


def test_the_consumer_does_not_set_reserve_ms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Setting it may wait for a change of prompts."""
    monkeypatch.setattr("fastsam_trt.streaming.flow._RESERVE_EVERY_S", 0.0)
    setters: list[threading.Thread] = []

    class Recording(FakePipeline):
        def __setattr__(self, name: str, value: object) -> None:
            if name == "reserve_ms":
                setters.append(threading.current_thread())
            super().__setattr__(name, value)

    pipeline = Recording()
    setters.clear()  # __init__ sets it too
    with Flow(FakeSource("video", count(20)), pipeline) as flow:
        numbers(flow)
    assert setters
    assert threading.current_thread() not in setters


def test_a_flow_outside_a_with_block_is_refused() -> None:
    flow = Flow(FakeSource("video", count(3)), FakePipeline())
    with pytest.raises(FlowNotEnteredError, match="found it outside; use: with Flow"):
        next(flow)
    with flow:
        assert numbers(flow) == [0, 1, 2]
    assert next(flow, None) is None
    with pytest.raises(FlowNotEnteredError, match="used before"), flow:
        pass


def test_an_interrupt_while_its_threads_start_leaves_none(monkeypatch: pytest.MonkeyPatch) -> None:
    source = FakeSource("live", forever)
    flow = Flow(source, FakePipeline())

    def start() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(flow._stages[2], "start", start)
    with pytest.raises(KeyboardInterrupt), flow:
        pass
    assert source.stopped.is_set()
    for stage in flow._stages[:2]:
        stage.join(WAIT_S)
        assert not stage.is_alive()


def test_a_flow_that_ends_on_its_own_thread_waits_for_none() -> None:
    """Like a generator that the garbage collector closes there."""
    ended = threading.Event()

    def select(_: int) -> None:
        flow.__exit__(GeneratorExit, GeneratorExit(), None)  # must not join itself
        ended.set()

    def segment(number: int) -> None:
        assert number == 0 or ended.wait(WAIT_S)

    flow = Flow(FakeSource("video", count(9)), FakePipeline(segment, select))
    flow.__enter__()
    assert ended.wait(WAIT_S)
    for each in flow._stages:
        each.join(WAIT_S)
        assert not each.is_alive()


def test_the_pipeline_gets_the_time_after_the_selection() -> None:
    pipeline = FakePipeline()
    with Flow(FakeSource("video", count(10)), pipeline) as flow:
        for _ in flow:
            time.sleep(0.01)
    assert 10 <= pipeline.reserve_ms < 10_000


def test_old_names_warn() -> None:
    flow = Flow(FakeSource("video", count(1)), FakePipeline())
    with pytest.warns(DeprecationWarning, match=r"Flow\.stats") as caught:
        assert flow.figures is flow.stats
    assert caught[0].filename == __file__
    with pytest.warns(DeprecationWarning, match=r"now fastsam_trt\.streaming\.FlowStats") as caught:
        assert streaming.FlowFigures is FlowStats
    assert caught[0].filename == __file__


def test_channels_end_after_their_items_or_at_once() -> None:
    for channel in (Channel[int](3), LatestSlot[int]()):
        assert channel.put(1)
        channel.close(error := ValueError())
        assert [channel.get(), channel.get(), channel.get()] == [1, None, None]
        assert channel.error is error
    for channel in (Channel[int](3), LatestSlot[int]()):
        assert channel.put(1)
        channel.stop()
        assert [channel.get(), channel.get()] == [None, None]
    full = Channel[int](1)
    full.put(1)
    stopper = threading.Timer(0.02, full.stop)
    stopper.start()
    assert not full.put(2)  # it waited for a free slot
    assert not full.wait_until_empty()
    stopper.join()


def test_a_channel_is_empty_once_all_items_are_taken() -> None:
    channel = Channel[int](2)
    channel.put(1)
    channel.put(2)
    assert channel.depth == 2
    taker = threading.Timer(0.02, lambda: (channel.get(), channel.get()))
    taker.start()
    assert channel.wait_until_empty()
    assert channel.depth == 0
    taker.join()


def test_percentiles_match_numpy() -> None:
    generator = np.random.default_rng(0)
    for values in (
        generator.lognormal(2, 2, 5000),
        generator.uniform(0, 10, 7),
        np.full(100, 3.3),
        np.zeros(10),
        np.array([0.5]),
        np.array([1.0, 1000.0]),
    ):
        histogram, rolling = Histogram(), RollingHistogram()
        for i, value in enumerate(values.tolist()):
            histogram.add(value)
            rolling.add(value, 100 + 9 * i / len(values))
        expected = np.percentile(values, [0, 50, 90, 99, 100])
        np.testing.assert_allclose(histogram.percentiles(0, 50, 90, 99, 100), expected, rtol=0.01, atol=1e-3)
        np.testing.assert_allclose(rolling.recent(109).percentiles(0, 50, 90, 99, 100), expected, rtol=0.01, atol=1e-3)
    assert math.isnan(Histogram().percentiles(50)[0])


def test_rolling_histograms_drop_old_values() -> None:
    rolling = RollingHistogram(10)
    for tenth in range(1000):
        rolling.add(float(tenth), 50 + tenth / 10)
    lowest, highest = rolling.recent(149.95).percentiles(0, 100)
    assert lowest == pytest.approx(900, rel=0.01)
    assert highest == pytest.approx(999, rel=0.01)
    assert rolling.rate(149.95) == pytest.approx(10, rel=0.02)
    assert rolling.rate(155.0) == pytest.approx(10 * 0.5, rel=0.15)
    assert rolling.rate(500.0) == 0
    early = RollingHistogram(10)
    for i in range(11):
        early.add(1.0, 70 + i / 10)
    assert early.rate(71.0) == pytest.approx(10)


def test_memory_of_histograms_does_not_grow() -> None:
    generator = np.random.default_rng(0)

    def size(values: int) -> int:
        histogram, rolling = Histogram(), RollingHistogram()
        for i, value in enumerate(generator.lognormal(2, 3, values).tolist()):
            histogram.add(value)
            rolling.add(value, 100 + 10 * i)  # over eleven days
        return len(pickle.dumps((histogram, rolling)))

    assert size(100_000) < size(20) + 1000
    assert size(100_000) < 300_000


def test_statistics_match_a_plain_computation(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(1)
    now_s = [1000.0]
    monkeypatch.setattr("fastsam_trt.streaming.stats.time.perf_counter", lambda: now_s[0])
    slot, channel = LatestSlot[int](), Channel[int](2)
    stats = FlowStats({"captured": slot, "selected": channel}, lambda: SourceHealth(1, 0, 1, 2.0))
    assert json.dumps(stats.snapshot().as_record(), allow_nan=False)  # no values yet
    captures, ages, outputs, waits, selects, finished = [], [], [], [], [], []
    for i in range(600):  # 60 s
        begun_s = 1000 + i / 10
        capture, wait, select, output = generator.uniform(0.001, 0.02, 4)
        result = made_result([np.ones((2, 2), bool)] * (i % 3), size=(4, 4))
        result.speed.update(select=select * 1e3, decode=1.0)
        captured_s = begun_s + capture
        done_s = captured_s + wait + select + output
        stats.record_capture(begun_s, captured_s)
        stats.record_wait("captured", wait)
        stats.record_output(result, captured_s, captured_s + wait + select, done_s - output, done_s)
        for values, value in zip(
            (captures, ages, outputs, waits, selects, finished),
            (capture, wait + select + output, output - 1e-3, wait, select, done_s),
            strict=True,
        ):
            values.append(value)
    now_s[0] = finished[-1]
    for number in range(5):
        slot.put(number)
    channel.put(0)
    snapshot = stats.snapshot()
    assert (snapshot.frames, snapshot.captured, snapshot.dropped, snapshot.segments) == (600, 600, 4, 600)
    assert snapshot.queues == {"captured": 1, "selected": 1}
    assert snapshot.health == SourceHealth(1, 0, 1, 2.0)
    seconds = finished[-1] - 1000
    assert snapshot.seconds == pytest.approx(seconds)
    assert snapshot.fps_out_mean == pytest.approx(600 / seconds)
    assert snapshot.fps_out == pytest.approx(10, rel=0.03)
    assert snapshot.fps_in == pytest.approx(10, rel=0.03)
    assert snapshot.queues_mean == pytest.approx({"captured": sum(waits) / seconds, "selected": 0})
    live = [age for age, done_s in zip(ages, finished, strict=True) if int(done_s) > int(finished[-1]) - 10]
    for mine, plain in (
        ((snapshot.age_p50_ms, snapshot.age_p99_ms), ages),
        ((snapshot.age_p50_live_ms, snapshot.age_p99_live_ms), live),
        (snapshot.stages["capture"], captures),
        (snapshot.stages["select"], selects),
        (snapshot.stages["output"], np.maximum(outputs, 0)),
    ):
        np.testing.assert_allclose(mine, np.percentile(plain, [50, 99]) * 1e3, rtol=0.01, atol=1e-3)
    record = json.loads(json.dumps(snapshot.as_record(), allow_nan=False))
    assert record["frames"] == 600
    losses, damage = {"losses": 1, "stalls": 0, "reconnections": 1, "away_s": 2.0}, {"lost_frames", "damaged_frames"}
    assert record["health"] == {**losses, **dict.fromkeys(damage | {"stream_errors"}, 0)}
    assert record["stages"]["segment"] == pytest.approx([1.0, 1.0], rel=0.01)
