"""Live sources: reconnection, with scripted captures, and the reasons why a source can't be opened."""

from __future__ import annotations

import errno
import itertools
import logging
import math
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest

from fastsam_trt import open_source
from fastsam_trt.errors import (
    ImageFormatError,
    OptionError,
    SourceLostError,
    SourceNotFoundError,
    SourceUnreachableError,
    SourceUnreadableError,
    TruncatedSourceError,
)
from fastsam_trt.sources import SourceHealth
from fastsam_trt.sources.live import diagnosis
from fastsam_trt.sources.live import live_source as live_module
from fastsam_trt.sources.live.diagnosis import Absence, Fault, find_device, why_absent
from fastsam_trt.sources.names import hide_password
from fastsam_trt.sources.video.reader_events import Ended
from support.live_senders import free_port, images, numbered, open_captures, shown
from support.scripted_capture import Script
from support.waiting import signal_after, until


@pytest.fixture(autouse=True)
def _no_capture_is_left() -> Iterator[None]:
    yield
    assert until(lambda: not open_captures())


@pytest.fixture
def follow(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Script]:
    """Replaces the readers by a script, and shortens the delays."""

    def put(*openings: list | None, has_end: bool = False) -> Script:
        script = Script(*openings, has_end=has_end)
        monkeypatch.setattr(live_module, "open_reader", script)
        monkeypatch.setattr(live_module, "_FIRST_DELAY_S", 0.02)
        monkeypatch.setattr(live_module, "_LONGEST_DELAY_S", 0.08)
        monkeypatch.setattr(live_module, "_GRACE_S", 0.02)
        return script

    return put


ADDRESS = "rtsp://camera.example/1"


def test_frames_continue_in_order_after_losses(follow: Callable[..., Script], caplog: pytest.LogCaptureFixture) -> None:
    script = follow(images(0, 3), None, None, images(3, 5), images(5, 6), None, images(6, 9))
    with open_source(ADDRESS, reconnect_s=5) as source:
        assert (source.kind, source.fps, source.frames) == ("live", 25, None)
        assert source.health == SourceHealth()
        frames = list(itertools.islice(source, 9))
        assert shown(frames) == [(i, i) for i in range(9)]
        health = source.health
        assert script.held == 1
    assert script.held == 0
    assert (health.losses, health.stalls, health.reconnections) == (3, 0, 3)
    gaps = [after.captured_s - before.captured_s for before, after in itertools.pairwise(frames)]
    assert health.away_s == pytest.approx(gaps[2] + gaps[4] + gaps[5])
    said = [record.message for record in caplog.records]
    assert len(said) == 6
    assert said[0] == f"source {ADDRESS!r} is lost (the stream ended); reconnecting for 5 s"
    assert re.fullmatch(rf"source {ADDRESS!r} is back after 0\.\d s", said[1])
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_live_frames_have_capture_times(follow: Callable[..., Script]) -> None:
    follow(images(0, 2))
    before = time.perf_counter(), time.time()
    with open_source(ADDRESS, reconnect_s=0) as source:
        frames = list(source)
    after = time.perf_counter(), time.time()
    assert len(frames) == 2
    for frame in frames:
        assert before[0] <= frame.captured_s <= after[0]
        assert frame.timestamp_s is not None
        assert before[1] <= frame.timestamp_s <= after[1]


def test_readers_get_the_time_limits(follow: Callable[..., Script]) -> None:
    script = follow(images(0, 1), images(0, 1))
    open_source(ADDRESS, stall_s=2.5).close()
    open_source(ADDRESS, stall_s=math.inf).close()
    assert script.limits_s == [(10, 2.5), (10, math.inf)]


def test_reconnection_delays_grow(follow: Callable[..., Script]) -> None:
    script = follow(images(0, 1), *[None] * 20, images(1, 2))  # unlimited, the last would be of a day
    with open_source(ADDRESS, reconnect_s=math.inf) as source:
        assert len(list(itertools.islice(source, 2))) == 2
    gaps = np.diff(script.opened_s[1:])
    assert np.all(gaps >= np.array([0.04, *[0.08] * 19]) - 1e-3)


def test_a_stream_that_does_not_come_back_is_an_error(follow: Callable[..., Script]) -> None:
    follow(images(0, 4))
    seen = []
    began = time.perf_counter()
    with open_source(ADDRESS, reconnect_s=0.3) as source:
        with pytest.raises(
            SourceLostError, match=r"is lost \(the stream ended\): expected it back within 0\.3 s; .* --reconnect SEC"
        ) as caught:
            for frame in source:
                seen.append(frame)
        assert (source.health.losses, source.health.reconnections) == (1, 0)
    assert 0.3 <= time.perf_counter() - began < 60.3
    assert len(seen) == 4
    assert caught.value.exit_code == 1


def test_a_hanging_attempt_ends_at_the_reconnection_limit(
    follow: Callable[..., Script], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_module, "_OPEN_S", 10_000)
    hangs = threading.Event()
    script = follow(images(0, 1))
    script.openings.append(hangs)  # type: ignore[arg-type]
    with open_source(ADDRESS, reconnect_s=0.3) as source:
        with pytest.raises(SourceLostError):
            list(source)
        assert len(script.targets) == 2  # nothing else is opened while one try hangs
        hangs.set()


def test_without_reconnection_a_loss_ends_the_source(follow: Callable[..., Script]) -> None:
    script = follow(images(0, 4), images(4, 8))
    with open_source(ADDRESS, reconnect_s=0) as source:
        assert shown(list(source)) == [(i, i) for i in range(4)]
        assert (source.health.losses, source.health.reconnections) == (1, 0)
    assert len(script.targets) == 1


def test_infinite_reconnection(follow: Callable[..., Script]) -> None:
    script = follow(images(0, 1), *[None] * 15, images(1, 2))
    with open_source(ADDRESS, reconnect_s=math.inf, stall_s=math.inf) as source:
        assert shown(list(itertools.islice(source, 2))) == [(0, 0), (1, 1)]
    assert len(script.targets) == 17


def test_a_stall_is_a_loss_and_the_device_is_released_first(follow: Callable[..., Script]) -> None:
    hangs = threading.Event()
    script = follow([*images(0, 2), hangs], images(2, 4))
    with open_source("cam3", reconnect_s=5, stall_s=0.2) as source:
        frames = list(itertools.islice(source, 2))
        threading.Timer(0.7, hangs.set).start()
        frames += itertools.islice(source, 2)
        assert script.opened_s[1] - frames[1].captured_s > 0.7  # not before OpenCV has returned
        assert (source.health.losses, source.health.stalls, source.health.reconnections) == (1, 1, 1)
    assert shown(frames) == [(i, i) for i in range(4)]
    assert script.targets == [3, 3]


def test_a_stall_is_noticed_even_if_opencv_blocks(follow: Callable[..., Script]) -> None:
    hangs = threading.Event()
    follow([*images(0, 2), hangs])
    with open_source("cam3", reconnect_s=0, stall_s=0.2) as source:
        began = time.perf_counter()
        assert len(list(source)) == 2
        assert 0.2 <= time.perf_counter() - began < 60.2
        assert (source.health.losses, source.health.stalls) == (1, 1)
        hangs.set()


def test_stop_ends_a_blocked_read_at_once(follow: Callable[..., Script]) -> None:
    hangs = threading.Event()
    follow([*images(0, 2), hangs])
    with open_source(ADDRESS, stall_s=math.inf) as source:
        threading.Timer(0.2, source.stop).start()
        assert len(list(source)) == 2
        assert source.health == SourceHealth()
        assert list(source) == []
        hangs.set()


def test_stop_ends_a_reconnection_at_once(follow: Callable[..., Script], monkeypatch: pytest.MonkeyPatch) -> None:
    follow(images(0, 2))
    monkeypatch.setattr(live_module, "_FIRST_DELAY_S", 10_000)
    monkeypatch.setattr(live_module, "_LONGEST_DELAY_S", 10_000)
    with open_source(ADDRESS, reconnect_s=math.inf) as source:
        threading.Timer(0.2, source.stop).start()
        assert len(list(source)) == 2


def test_stop_from_the_consumer_between_frames(follow: Callable[..., Script]) -> None:
    follow(images(0, 9))
    with open_source(ADDRESS) as source:
        for frame in source:
            if frame.index == 3:
                source.stop()
    assert frame.index == 3


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="no SIGUSR1 here")
def test_stop_from_a_signal_handler(follow: Callable[..., Script]) -> None:
    hangs = threading.Event()
    follow([*images(0, 1), hangs])
    with open_source(ADDRESS, stall_s=60) as source:
        try:
            with signal_after(0.2, source.stop):
                assert len(list(source)) == 1
        finally:
            hangs.set()


def test_a_stride_continues_after_losses(follow: Callable[..., Script]) -> None:
    follow(images(0, 4), images(4, 11))
    with open_source(ADDRESS, vid_stride=3, reconnect_s=0.1) as source:
        assert source.fps == pytest.approx(25 / 3)
        assert shown(list(itertools.islice(source, 4))) == [(i, i) for i in (0, 3, 6, 9)]


def test_a_stream_without_a_single_frame_is_an_error(follow: Callable[..., Script]) -> None:
    follow([])
    with pytest.raises(SourceUnreadableError, match="found no frame that can be decoded"), open_source(ADDRESS) as one:
        list(one)
    hangs = threading.Event()
    follow([hangs])
    with open_source(ADDRESS, stall_s=0.1) as source:
        with pytest.raises(SourceUnreadableError, match=r"found no frame within 0\.1 s"):
            list(source)
        hangs.set()


class _CameraOfOpenCV:
    """A `cv2.VideoCapture` with a list of images, or errors to raise."""

    steps: ClassVar[list[np.ndarray | Exception]] = []
    options: ClassVar[dict[int, float]] = {}

    def __init__(self, number: int) -> None:
        assert number == 0

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return True

    def get(self, what: int) -> float:
        return {cv2.CAP_PROP_FPS: 25.0}[what]

    def set(self, what: int, value: float) -> bool:
        self.options[what] = value
        return True

    def grab(self) -> bool:
        if self.steps and isinstance(self.steps[0], Exception):
            raise self.steps.pop(0)  # type: ignore[misc]
        return bool(self.steps)

    def retrieve(self) -> tuple[bool, np.ndarray]:
        return True, self.steps.pop(0)  # type: ignore[return-value]

    def release(self) -> None:
        pass


def test_a_camera_is_read_through_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", _CameraOfOpenCV)
    monkeypatch.setattr(live_module, "_FIRST_DELAY_S", 0.02)
    _CameraOfOpenCV.steps = [*images(0, 2), cv2.error("broken"), *images(2, 4), np.zeros((4, 4, 2), np.uint8)]
    with open_source("cam0") as source:
        assert (source.kind, source.fps) == ("live", 25)
        frames = list(itertools.islice(source, 4))
        assert source.health.losses == 1
        with pytest.raises(ImageFormatError, match=r"shape \(4, 4, 2\)"):
            list(source)
    assert shown(frames) == [(i, i) for i in range(4)]
    assert [frame.media_s for frame in frames] == pytest.approx([f.captured_s - frames[0].captured_s for f in frames])
    assert _CameraOfOpenCV.options == {cv2.CAP_PROP_BUFFERSIZE: 2}


def test_a_change_of_size_is_followed_and_logged(
    follow: Callable[..., Script], caplog: pytest.LogCaptureFixture
) -> None:
    large = [numbered(i, 640, 200) for i in range(3, 6)]
    follow([*images(0, 3), *large], images(6, 8))
    with open_source(ADDRESS, reconnect_s=1) as source:
        frames = list(itertools.islice(source, 8))
    assert shown(frames) == [(i, i) for i in range(8)]
    assert [frame.image.shape[:2] for frame in frames] == [(96, 320)] * 3 + [(200, 640)] * 3 + [(96, 320)] * 2
    said = [record.message for record in caplog.records if "now sends" in record.message]
    assert said == [
        f"source {ADDRESS!r} now sends frames of 640 x 200 px, after 320 x 96 px",
        f"source {ADDRESS!r} now sends frames of 320 x 96 px, after 640 x 200 px",
    ]


def test_damage_is_summed_over_connections(follow: Callable[..., Script]) -> None:
    first = [*images(0, 1), SourceHealth(lost_frames=2, stream_errors=3), *images(1, 3)]
    follow(first, [*images(3, 4), SourceHealth(damaged_frames=1, stream_errors=1), *images(4, 5)])
    with open_source(ADDRESS, reconnect_s=1) as source:
        assert len(list(itertools.islice(source, 2))) == 2
        assert source.health == SourceHealth(lost_frames=2, stream_errors=3)
        assert len(list(itertools.islice(source, 3))) == 3
        health = source.health
    assert (health.losses, health.lost_frames, health.damaged_frames, health.stream_errors) == (1, 2, 1, 4)


def test_media_times_continue_after_a_loss(follow: Callable[..., Script]) -> None:
    """By the stream's clock, which restarts with the second connection, and by the wall clock in between."""
    first, second = ([step for i in range(3) for step in (start + i * 0.2, numbered(i))] for start in (700.0, 5.0))
    follow(first, second)
    with open_source(ADDRESS, reconnect_s=1) as source:
        frames = list(itertools.islice(source, 6))
    places = [frame.media_s for frame in frames]
    away_s = frames[3].captured_s - frames[2].captured_s
    assert places == pytest.approx([0, 0.2, 0.4, 0.4 + away_s, 0.6 + away_s, 0.8 + away_s])


def test_a_video_over_http_resumes_after_a_loss(follow: Callable[..., Script]) -> None:
    whole = images(0, 20)
    follow(whole[:8], whole[:5], [*whole, Ended()], has_end=True)
    with open_source("http://127.0.0.1/clip.avi", reconnect_s=5) as source:
        assert shown(list(source)) == [(i, i) for i in range(20)]
        assert (source.health.losses, source.health.reconnections) == (1, 1)


@pytest.mark.parametrize("reconnect_s", [0, 5])
def test_a_truncated_video_over_http_is_an_error(follow: Callable[..., Script], reconnect_s: float) -> None:
    follow(*[images(0, 8)] * 3, has_end=True)
    seen = []
    with (
        pytest.raises(TruncatedSourceError, match=r"is cut short: .*found the end after 8;"),
        open_source("http://127.0.0.1/clip.avi", reconnect_s=reconnect_s) as source,
    ):
        for frame in source:
            seen.append(frame.index)
    assert seen == list(range(8))


@pytest.mark.parametrize(
    ("option", "value"),
    [("reconnect_s", -1), ("reconnect_s", math.nan), ("stall_s", 0), ("stall_s", -1), ("stall_s", math.nan)],
)
def test_invalid_time_limits_are_refused(option: str, value: Any) -> None:
    with pytest.raises(OptionError, match=f"{option}: expected seconds"):
        open_source("demo", **{option: value})


# Why it is not there


def test_a_missing_camera_is_reported_with_the_existing_ones(tmp_path: Path) -> None:
    assert find_device(tmp_path / "video7") == f"no {tmp_path}/video7 (and no other camera)"
    (tmp_path / "video0").touch()
    assert find_device(tmp_path / "video7") == f"no {tmp_path}/video7 (there is {tmp_path}/video0)"


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_camera_in_use_is_reported_with_the_process(tmp_path: Path) -> None:
    device = tmp_path / "video0"
    device.touch()
    assert "in use by" not in find_device(device).replace("in use by another", "")
    code = "import sys, time\nheld = open(sys.argv[1])\nprint('open', flush=True)\ntime.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code, str(device)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        assert re.fullmatch(rf"{device} in use by process {holder.pid} \(python[\d.]*\)", find_device(device))
        holder.kill()


@pytest.mark.parametrize(("number", "said"), [(errno.EACCES, "; add the user to its group"), (errno.EBUSY, "busy")])
def test_a_camera_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, said: str) -> None:
    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    device = tmp_path / "video0"
    device.touch()
    monkeypatch.setattr(os, "open", refuse)
    assert said in find_device(device)


def test_an_absent_camera_is_an_error_at_once() -> None:
    with pytest.raises(SourceNotFoundError, match="'cam97': expected a camera or stream that answers, found no ") as e:
        open_source("cam97")
    assert e.value.exit_code == 2


@pytest.mark.parametrize("scheme", ["tcp", "http", "rtsp", "rtmp"])
def test_a_refused_address_is_an_error_at_once(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "_OPEN_S", 10_000)
    port = free_port()
    with pytest.raises(SourceUnreachableError, match=f"found a connection refused by 127.0.0.1:{port}") as caught:
        open_source(f"{scheme}://127.0.0.1:{port}/x")
    assert caught.value.exit_code == 1
    assert isinstance(caught.value, SourceNotFoundError | ConnectionError)


@pytest.mark.parametrize(
    ("address", "found", "fault"),
    [
        ("tcp://nowhere.invalid:5000", "no host named 'nowhere.invalid'", "network"),
        ("udp://127.0.0.1:5000", "no video sent to it within 10 s", "network"),
        ("tcp://127.0.0.1:5000?listen=1", "no video sent to it within 10 s", "network"),
        ("tcp://127.0.0.1:5000?listen", "no video sent to it within 10 s", "network"),
        ("tcp://127.0.0.1", "an address that FFmpeg can't open", "request"),
        ("tcp://127.0.0.1:port", "an invalid address (Port could not be cast to integer value as 'port')", "request"),
    ],
)
def test_errors_of_addresses_are_distinguished(address: str, found: str, fault: Fault) -> None:
    assert why_absent(address, 10) == Absence(found, fault)


def test_a_name_server_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(diagnosis, "_LIMIT_S", 0.1)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: go_on.wait(60))
    assert why_absent("http://camera.example/x", 10) == Absence(
        "no answer from camera.example:80 within 10 s", "network"
    )
    go_on.set()


def test_a_name_server_that_fails_is_told_from_a_name_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert why_absent("rtsp://camera.example/x", 10).found == "no name server that knows 'camera.example'"


def test_passwords_are_not_shown() -> None:
    assert hide_password("rtsp://me:s3cr:et@cam.example:554/a@b") == "rtsp://me:***@cam.example:554/a@b"
    assert hide_password("tcp://127.0.0.1:5000") == "tcp://127.0.0.1:5000"
    port = free_port()
    with pytest.raises(SourceNotFoundError) as caught:
        open_source(f"http://me:secret@127.0.0.1:{port}/x")
    assert "secret" not in str(caught.value)
    assert "me:***@" in str(caught.value)
