"""Closing a pipeline at any moment, from any thread: later calls fail with a clear error, running calls finish."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from fastsam_engine.concurrency.calls_under_way import CallsUnderWay
from fastsam_engine.errors import ClosedError
from fastsam_engine.session import Session
from fastsam_trt import Pipeline
from fastsam_trt.clip.model import Clip
from fastsam_trt.errors import ClipNotFoundError, OptionError
from fastsam_trt.segmentation.segmenter import Segmenter
from support.colour_models import scene

SHAPES = (("red", 1, 1), ("green", 1, 5), ("blue", 5, 1), ("red", 5, 5))
THREADS = 8


def test_a_closed_pipeline_refuses_calls_and_its_results_stay_valid() -> None:
    with Pipeline("things", clip="clip-colours", prompts=["red"]) as pipe:
        result, clip = pipe(scene(*SHAPES)), pipe.clip
        segmented = pipe.segment(scene(*SHAPES))
    assert clip is not None
    assert result.masks().shape == (2, 256, 256)
    for call in (
        lambda: pipe(scene(*SHAPES)),
        lambda: pipe(scene(*SHAPES), prompts=["green"]),
        lambda: pipe.segment(scene(*SHAPES)),
        lambda: pipe.select(segmented),
        lambda: pipe.rank(result),
        lambda: setattr(pipe, "prompts", ["a new text"]),
        lambda: pipe.segmenter(scene(*SHAPES)),
        lambda: clip.embed_boxes(scene(*SHAPES), result.boxes),
        lambda: clip.text.embed(["red"], ["{}"]),
    ):
        with pytest.raises(ClosedError, match=r"expected .* to be open, found it closed"):
            call()
    pipe.close()  # closing twice does no harm


def test_a_pipeline_that_fails_to_open_closes_its_models(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Segmenter] = []
    real = Segmenter.__init__

    def note(self: Segmenter, *args: Any, **options: Any) -> None:
        real(self, *args, **options)
        opened.append(self)

    monkeypatch.setattr(Segmenter, "__init__", note)
    with pytest.raises(ClipNotFoundError):
        Pipeline("colours", clip="nowhere", prompts=["an elephant"])
    with pytest.raises(ClosedError):
        opened[0].segment(scene(*SHAPES))
    with pytest.raises(OptionError, match="budget_ms"):
        Pipeline("colours", budget_ms=-1)
    assert len(opened) == 1  # what is wrong without a model is refused before one is opened


def test_a_clip_that_was_passed_in_stays_open() -> None:
    clip = Clip("clip-colours")
    with Pipeline("things", clip=clip, prompts=["red"]) as pipe:
        assert len(pipe(scene(*SHAPES))) == 2
    assert len(Pipeline("things", clip=clip, prompts=["red"])(scene(*SHAPES))) == 2


def test_closing_waits_for_calls_and_not_for_prompts(slow_prompts: tuple[threading.Event, threading.Event]) -> None:
    pipe = Pipeline("things", clip="clip-colours", prompts=["red"])
    computing, go_on = slow_prompts
    errors: list[BaseException] = []

    def set_prompts() -> None:
        try:
            pipe.prompts = ["a green thing"]
        except ClosedError as error:
            errors.append(error)

    setter = threading.Thread(target=set_prompts)
    setter.start()
    assert computing.wait(60)
    closer = threading.Thread(target=pipe.close)
    closer.start()
    closer.join(60)
    assert not closer.is_alive()
    go_on.set()
    setter.join(60)
    assert len(errors) == 1


def test_running_calls_finish_when_the_pipeline_is_closed() -> None:
    pipe = Pipeline("things", clip="clip-colours", prompts=["red"])
    frame, whole, closed = scene(*SHAPES), [], []

    def work(index: int) -> None:
        if index == 0:
            time.sleep(0.05)
            pipe.close()
            return
        for _ in range(200):
            try:
                whole.append(len(pipe(frame)))
            except ClosedError:
                closed.append(index)
                return

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, range(THREADS)))
    assert set(whole) == {2}
    assert len(closed) == THREADS - 1


def test_a_signal_handler_may_close_during_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = Pipeline("things", clip="clip-colours", prompts=["red"])
    session, clip = pipe.segmenter.session, pipe.clip
    assert clip is not None
    real = Session.run_kept
    before = signal.signal(signal.SIGUSR1, lambda *_: pipe.close())

    def interrupted(self: Session, *args: Any) -> object:
        os.kill(os.getpid(), signal.SIGUSR1)
        return real(self, *args)

    try:
        with monkeypatch.context() as patch:
            patch.setattr(Session, "run_kept", interrupted)
            assert len(pipe(scene(*SHAPES))) == 2
    finally:
        signal.signal(signal.SIGUSR1, before)
    boxes = np.zeros((1, 4), np.float32)
    for call in (lambda: pipe(scene()), lambda: session.run({}), lambda: clip.embed_boxes(scene(), boxes)):
        with pytest.raises(ClosedError):
            call()


def test_closing_during_calls_releases_when_the_last_call_ends() -> None:
    calls, released = CallsUnderWay("it", "make another"), []
    inside, go_on = threading.Event(), threading.Event()

    def call() -> None:
        with calls.one():
            inside.set()
            assert go_on.wait(60)

    other = threading.Thread(target=call)
    with calls.one():
        other.start()
        assert inside.wait(60)
        calls.close(lambda: released.append("first"))
        calls.close(lambda: released.append("second"))
        with calls.one():  # part of a call that was running before
            pass
    assert released == []
    with pytest.raises(ClosedError), calls.one():
        pytest.fail("it was closed")
    go_on.set()
    other.join(60)
    assert released == ["first"]
    calls.close(lambda: released.append("third"))
    assert released == ["first"]
