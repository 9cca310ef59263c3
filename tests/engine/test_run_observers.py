"""Test observers of a session's runs: reports, threads, and how observing stops."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fastsam_engine import Session, find_graph, open_session
from fastsam_engine.errors import InputMismatchError
from fastsam_engine.run_observers import ObservedRun


def _open() -> Session:
    return open_session(find_graph("clip-colours", "image"))


def _batch(count: int) -> dict[str, np.ndarray]:
    return {"pixel_values": np.zeros((count, 3, 32, 32), np.float32)}


def test_an_observer_sees_every_run_with_its_shapes_and_times() -> None:
    session, runs = _open(), list[ObservedRun]()
    session.observe(runs.append)
    before_s = time.perf_counter()
    session.run(_batch(2))
    between_s = time.perf_counter()
    session.run_kept(_batch(3), ())
    after_s = time.perf_counter()
    assert [run.model for run in runs] == [session.spec.name] * 2
    assert [run.shapes for run in runs] == [{"pixel_values": (2, 3, 32, 32)}, {"pixel_values": (3, 3, 32, 32)}]
    first, second = runs
    assert before_s <= first.start_s < first.end_s <= between_s <= second.start_s < second.end_s <= after_s
    assert first.duration_ms == pytest.approx((first.end_s - first.start_s) * 1e3)


def test_a_stopped_observer_sees_nothing_more_and_others_go_on() -> None:
    session, runs = _open(), list[ObservedRun]()
    stop, _ = session.observe(runs.append), session.observe(runs.append)
    session.run(_batch(1))
    assert len(runs) == 2
    stop()
    stop()
    session.run(_batch(1))
    assert len(runs) == 3


def test_a_run_that_fails_is_not_reported() -> None:
    session, runs = _open(), list[ObservedRun]()
    session.observe(runs.append)
    with pytest.raises(InputMismatchError):
        session.run({"other": np.zeros(1)})
    assert not runs


def test_an_observer_may_close_the_session() -> None:
    session = _open()
    session.observe(lambda _: session.close())
    assert session.run(_batch(1)).keys() == {"image_embeds"}


def test_threads_are_observed_on_their_own_threads_while_observers_come_and_go() -> None:
    session, seen = _open(), list[tuple[int, int]]()
    session.observe(lambda run: seen.append((threading.get_ident(), run.shapes["pixel_values"][0])))
    begin = threading.Barrier(4)

    def work(count: int) -> int:
        begin.wait()
        for _ in range(20):
            stop = session.observe(lambda _: None)
            session.run(_batch(count))
            stop()
        return threading.get_ident()

    with ThreadPoolExecutor(4) as pool:
        threads = list(pool.map(work, range(1, 5)))
    expected = [(thread, count) for thread, count in zip(threads, range(1, 5), strict=True) for _ in range(20)]
    assert sorted(seen) == sorted(expected)
