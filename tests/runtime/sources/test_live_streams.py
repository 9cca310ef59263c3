"""Live sources on real streams, of ffmpeg if installed, that stall, break off, change or send no video."""

from __future__ import annotations

import contextlib
import functools
import http.server
import itertools
import math
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from fastsam_trt import open_source
from fastsam_trt.errors import (
    SourceNotFoundError,
    SourceUnreadableError,
    TruncatedSourceError,
)
from fastsam_trt.sources import Frame, SourceHealth
from fastsam_trt.sources.video.stream_reader import StreamReader
from support.live_senders import (
    HEIGHT,
    WIDTH,
    Sender,
    Server,
    connect,
    free_port,
    images,
    numbered,
    open_captures,
    read_number,
    send,
    shown,
    transport_stream,
)
from support.made_videos import silent_wav
from support.typed import present
from support.waiting import until

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg here to send streams")


@pytest.fixture(autouse=True)
def _no_capture_is_left() -> Iterator[None]:
    yield
    assert until(lambda: not open_captures())


def test_garbage_is_not_a_stream() -> None:
    garbage = random.Random(0).randbytes(200_000)
    with (
        Server(lambda connection, _: connection.sendall(garbage)) as server,
        pytest.raises((SourceNotFoundError, SourceUnreadableError), match=r"expected a (camera or stream|video)"),
        open_source(f"tcp://127.0.0.1:{server.port}") as source,
    ):
        list(source)


def test_the_status_of_a_server_that_refuses_is_named() -> None:
    def refuse(connection: socket.socket, _: int) -> None:
        request = connection.recv(4096).split()
        if request:
            protocol = b"RTSP/1.0" if b"RTSP/1.0" in request else b"HTTP/1.1"
            connection.sendall(protocol + b" 404 Not Found\r\nCSeq: 1\r\nContent-Length: 0\r\n\r\n")

    with Server(refuse) as server:
        for scheme, said in (("http", "HTTP 404 Not Found"), ("rtsp", "RTSP/1.0 404 Not Found")):
            with pytest.raises(SourceNotFoundError, match=f"found 127.0.0.1:{server.port}, which answers {said}"):
                open_source(f"{scheme}://127.0.0.1:{server.port}/x")


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@contextlib.contextmanager
def _folder_over_http(folder: Path) -> Iterator[str]:
    handler = functools.partial(_QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
def test_a_video_over_http_ends_at_its_end(
    tmp_path: Path, write_video: Callable[[Path, list[np.ndarray]], Path], suffix: str
) -> None:
    write_video(tmp_path / f"clip{suffix}", images(0, 30))
    with _folder_over_http(tmp_path) as address, open_source(f"{address}/clip{suffix}") as source:
        assert shown(list(source)) == [(i, i) for i in range(30)]
        assert source.health == SourceHealth()


def test_an_image_over_http_is_one_frame(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "shot.jpg"), numbered(77))
    with _folder_over_http(tmp_path) as address, open_source(f"{address}/shot.jpg") as source:
        assert (source.kind, source.frames) == ("images", 1)
        assert shown(list(source)) == [(0, 77)]


def test_a_stream_over_http_is_not_a_file() -> None:
    jpegs = [cv2.imencode(".jpg", numbered(i))[1].tobytes() for i in range(12)]

    def serve(connection: socket.socket, number: int) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=x\r\n\r\n")
        for jpeg in jpegs[:6] if number == 0 else jpegs[6:]:
            connection.sendall(b"--x\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg))
            connection.sendall(jpeg + b"\r\n")
            time.sleep(0.02)

    with Server(serve) as server, open_source(f"http://127.0.0.1:{server.port}/video.mjpg") as source:
        numbers = []
        for frame in source:
            numbers.append(read_number(frame.image))
            if numbers[-1] == 10:
                break
        assert source.health.reconnections >= 1
    assert numbers[:5] == list(range(5))
    assert numbers[-5:] == list(range(6, 11))


@needs_ffmpeg
def test_a_sender_that_is_killed_and_comes_back_five_times() -> None:
    port = free_port()
    frames: list[Frame] = []
    sizes = [(WIDTH, HEIGHT), (640, 200)]
    sender = Sender(port, 0)
    try:
        with connect(port, reconnect_s=20) as source:
            for again in range(1, 7):
                wanted = len(frames) + 15
                for frame in source:
                    frames.append(frame)
                    if len(frames) >= wanted and read_number(frame.image) >= 160 * (again - 1):
                        break
                sender.kill()
                if again < 6:
                    sender = Sender(port, 160 * again, sizes[again % 2])
            health = source.health
    finally:
        sender.kill()
    assert [frame.index for frame in frames] == list(range(len(frames)))
    numbers = [read_number(frame.image) for frame in frames]
    assert numbers == sorted(set(numbers))
    assert sorted({number // 160 for number in numbers}) == list(range(6))
    for frame, number in zip(frames, numbers, strict=True):
        width, height = sizes[number // 160 % 2]
        assert frame.image.shape == (height, width, 3)
    assert (health.losses, health.stalls, health.reconnections) == (5, 0, 5)
    assert health.away_s > 0


@needs_ffmpeg
@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no SIGSTOP here")
def test_a_stalled_sender_is_noticed_in_time() -> None:
    port = free_port()
    with Sender(port, 0) as sender, connect(port, reconnect_s=0, stall_s=2) as source:
        frames = iter(source)
        assert len(list(itertools.islice(frames, 10))) == 10
        sender.process.send_signal(signal.SIGSTOP)
        began = time.perf_counter()
        last = list(frames)
        assert 1.8 < time.perf_counter() - began < 62
        assert len(last) < 30
        assert (source.health.losses, source.health.stalls) == (1, 1)


@needs_ffmpeg
@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no SIGSTOP here")
def test_stop_while_a_sender_stalls() -> None:
    port = free_port()
    with Sender(port, 0) as sender, connect(port, stall_s=math.inf) as source:
        frames = iter(source)
        assert len(list(itertools.islice(frames, 10))) == 10
        sender.process.send_signal(signal.SIGSTOP)
        threading.Timer(0.4, source.stop).start()
        list(frames)
        assert source.health == SourceHealth()


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to other processes here")
def test_a_process_exits_cleanly_during_a_stall() -> None:
    """A read that returned during Python's shutdown would abort the process, so the exit waits for it."""
    code = """
import sys, time
from fastsam_trt import open_source
from fastsam_trt.sources.live import live_source
live_source._OPEN_S = 3600.0  # an interrupt that came through only after this would meet the guard against hanging
class Slow:
    def __init__(self):
        self.sleep = time.sleep
    def __del__(self):  # while the interpreter is taken down
        self.sleep(3)
sys.slow = Slow()
try:
    open_source(sys.argv[1])
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
    go_on = threading.Event()

    def send_nothing(_connection: socket.socket, _number: int) -> None:
        go_on.wait()

    with Server(send_nothing) as server:
        address = f"tcp://127.0.0.1:{server.port}"
        with subprocess.Popen([sys.executable, "-c", code, address], stdout=subprocess.PIPE, text=True) as process:
            try:
                assert until(lambda: server.connections > 0)
                process.send_signal(signal.SIGINT)
                assert process.stdout is not None
                assert process.stdout.readline() == "interrupted\n"
                time.sleep(1)  # by now the interpreter is taken down
            finally:
                go_on.set()
        assert process.returncode == 0


@needs_ffmpeg
def test_a_sender_that_changes_its_size(caplog: pytest.LogCaptureFixture) -> None:
    small, large = transport_stream(0, 120, (WIDTH, HEIGHT)), transport_stream(200, 120, (640, 360))
    frames = []

    def serve(connection: socket.socket, number: int) -> None:
        assert number == 0
        send(connection, small, 0.5)
        send(connection, large, 0.5)

    with Server(serve) as server, connect(server.port, reconnect_s=0) as source:
        frames = list(source)
        assert source.health.losses == 1
        assert server.connections == 1
    assert "now sends frames of 640 x 360 px, after 320 x 96 px" in caplog.text
    shapes = {read_number(frame.image) >= 200: set() for frame in frames}
    for frame in frames:
        shapes[read_number(frame.image) >= 200].add(frame.image.shape)
    assert shapes == {False: {(HEIGHT, WIDTH, 3)}, True: {(360, 640, 3)}}
    assert [frame.index for frame in frames] == list(range(len(frames)))


@needs_ffmpeg
def test_garbage_within_a_stream_does_not_end_it() -> None:
    """Frames after it are decoded on the same connection; lost ones are counted."""
    stream, later = transport_stream(0, 60, (WIDTH, HEIGHT)), transport_stream(100, 60, (WIDTH, HEIGHT))
    garbage = random.Random(1).randbytes(400_000)

    def serve(connection: socket.socket, _: int) -> None:
        send(connection, stream, 0.3)
        connection.sendall(garbage)
        send(connection, later, 0.3)

    with Server(serve) as server, connect(server.port, reconnect_s=0) as source:
        frames = list(source)
        health = source.health
        assert server.connections == 1
    numbers = [read_number(frame.image) for frame in frames]
    assert set(range(55)) | set(range(110, 160)) <= set(numbers)
    assert (health.losses, health.stalls) == (1, 0)
    assert health.stream_errors > 0
    places = [present(frame.media_s) for frame in frames]
    assert places == sorted(places)


@needs_ffmpeg
def test_a_stream_that_turns_into_garbage_for_good_is_lost() -> None:
    stream, later = transport_stream(0, 60, (WIDTH, HEIGHT)), transport_stream(100, 60, (WIDTH, HEIGHT))
    garbage = random.Random(1)

    def serve(connection: socket.socket, number: int) -> None:
        send(connection, stream if number == 0 else later, 0.3)
        while number == 0:
            connection.sendall(garbage.randbytes(10_000))
            time.sleep(0.02)

    with Server(serve) as server, connect(server.port, reconnect_s=10, stall_s=0.6) as source:
        numbers = []
        for frame in source:
            numbers.append(read_number(frame.image))
            if numbers[-1] >= 130:
                break
        assert (source.health.losses, source.health.stalls, source.health.reconnections) == (1, 1, 1)
    assert set(range(50)) | set(range(105, 130)) <= set(numbers)


@pytest.mark.parametrize("with_length", [True, False])
def test_a_recording_of_mjpeg_lasts_as_long_as_its_source(with_length: bool) -> None:
    """FFmpeg assumes 25 frames per second; these are 10, and so small that several arrive before it notices."""
    step_s = 0.1
    sent_s: list[float] = []

    def serve(connection: socket.socket, _: int) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=x\r\n\r\n")
        for number in range(12):
            jpeg = cv2.imencode(".jpg", np.full((48, 64, 3), 20 * number, np.uint8))[1].tobytes()
            length = b"Content-Length: %d\r\n" % len(jpeg) if with_length else b""
            sent_s.append(time.perf_counter())
            connection.sendall(b"--x\r\nContent-Type: image/jpeg\r\n" + length + b"\r\n" + jpeg + b"\r\n")
            time.sleep(step_s)
        connection.sendall(b"--x\r\n")

    with Server(serve) as server, open_source(f"http://127.0.0.1:{server.port}/", reconnect_s=0) as source:
        assert source.fps is None
        frames = list(source)
    steps = len(frames) - 1
    assert steps >= 10  # FFmpeg drops the last image of a stream without lengths
    lasted_s, arrived_s = sent_s[steps] - sent_s[0], frames[-1].captured_s - sent_s[0]
    assert lasted_s - step_s <= present(frames[-1].media_s) <= arrived_s + step_s


@needs_ffmpeg
def test_a_recording_of_a_stream_lasts_as_long_as_its_source() -> None:
    """Media times follow the timestamps, however fast frames arrive, and the clock during a loss."""
    stream = transport_stream(0, 60, (WIDTH, HEIGHT))

    def serve(connection: socket.socket, number: int) -> None:
        if number == 1:
            time.sleep(0.5)
        send(connection, stream, 0.2)

    with Server(serve) as server, connect(server.port, reconnect_s=10) as source:
        frames = list(itertools.islice(source, 120))
    assert [read_number(frame.image) for frame in frames] == [*range(60), *range(60)]
    away_s = frames[60].captured_s - frames[59].captured_s
    assert away_s > 0.5
    media_s = np.array([present(frame.media_s) for frame in frames])
    first_s = np.arange(60) / 60
    np.testing.assert_allclose(media_s[:60], first_s, atol=2e-3)
    returned_s = 59 / 60 + away_s + first_s
    assert media_s[60] == pytest.approx(returned_s[0], abs=2e-3)
    assert (np.diff(media_s) >= 0).all()
    assert (media_s[60:] <= returned_s + 2e-3).all()
    # If six frames come about as slowly as they were filmed, media time waits for the clock, by the least delay so far.
    came_s = np.array([frame.captured_s for frame in frames[60:]]) - frames[59].captured_s
    least_s = 59 / 60 + first_s + np.minimum.accumulate(came_s - first_s)
    assert (media_s[60:] >= least_s - 2e-3).all()
    if not (2 * (came_s[5:] - came_s[:-5]) > 5 / 60).any():
        np.testing.assert_allclose(media_s[60:], returned_s, atol=2e-3)


def test_an_interrupted_file_over_http_is_an_error(
    tmp_path: Path, write_video: Callable[[Path, list[np.ndarray]], Path]
) -> None:
    """The server announced more bytes, so this is not the end of the video."""
    video = write_video(tmp_path / "clip.avi", images(0, 30)).read_bytes()
    head = b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(video)

    def serve(connection: socket.socket, number: int) -> None:
        connection.recv(4096)
        connection.sendall(head + (video if number else video[: len(video) // 2]))

    for reconnect_s in (0, 10):
        with Server(serve) as server, open_source(f"HTTP://127.0.0.1:{server.port}/x", reconnect_s=reconnect_s) as one:
            seen: list[Frame] = []
            if reconnect_s:
                seen.extend(one)
                assert shown(seen) == [(i, i) for i in range(30)]
                assert [frame.media_s for frame in seen] == pytest.approx([i / 25 for i in range(30)], abs=2e-3)
                assert one.health.reconnections == 1
            else:
                with pytest.raises(TruncatedSourceError, match="is cut short"):
                    for frame in one:
                        seen.append(frame)
                assert 5 < len(seen) < 25


@pytest.mark.parametrize("with_length", [True, False])
@pytest.mark.parametrize("path", ["snapshot.cgi?x=1", "fenêtre?at=a b%20c"])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tiff"])
def test_an_image_over_http_is_detected_by_its_content(suffix: str, path: str, with_length: bool) -> None:
    image = cv2.imencode(suffix, numbered(77))[1].tobytes()
    length = b"Content-Length: %d\r\n" % len(image) if with_length else b""

    def serve(connection: socket.socket, _: int) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.0 200 OK\r\n" + length + b"\r\n" + image)

    with Server(serve) as server, open_source(f"http://u:p@127.0.0.1:{server.port}/{path}") as source:
        assert (source.kind, source.frames) == ("images", 1)
        frames = list(source)
    assert shown(frames) == [(0, 77)]
    assert ":p@" not in frames[0].source


def test_audio_alone_is_refused() -> None:
    with (
        Server(lambda connection, _: connection.sendall(silent_wav())) as server,
        pytest.raises(SourceUnreadableError, match=r"expected a video or image, found audio \(pcm_s16le\)"),
    ):
        open_source(f"tcp://127.0.0.1:{server.port}")


def test_text_over_http_is_refused(tmp_path: Path) -> None:
    """FFmpeg would render it as a terminal does."""
    (tmp_path / "readme.txt").write_text("which is no video\n" * 500)
    with _folder_over_http(tmp_path) as address, pytest.raises(SourceUnreadableError, match="image, found text"):
        open_source(f"{address}/readme.txt")


@pytest.mark.parametrize(
    ("given", "options"),
    [
        (None, {"rtsp_flags": "prefer_tcp"}),
        ("rtsp_transport;udp|buffer_size;4000000", {"rtsp_transport": "udp", "buffer_size": "4000000"}),
        ("", {}),
    ],
)
def test_ffmpeg_gets_options_and_time_limits(
    monkeypatch: pytest.MonkeyPatch, given: str | None, options: dict[str, str]
) -> None:
    asked = {}

    def refuse(_address: str, _mode: str, **arguments: Any) -> None:
        asked.update(arguments)
        time.sleep(0.05)
        asked["open_s"] = [float(arguments["timeout"][0]), float(arguments["timeout"][0])]
        raise av.error.InvalidDataError(1, "refused")

    monkeypatch.setattr(av, "open", refuse)
    monkeypatch.delenv("OPENCV_FFMPEG_CAPTURE_OPTIONS", raising=False)
    if given is not None:
        monkeypatch.setenv("OPENCV_FFMPEG_CAPTURE_OPTIONS", given)
    with pytest.raises(OSError, match="refused"):
        StreamReader("rtsp://camera.example/1", open_s=2, read_s=3)
    assert asked["options"] == options
    assert asked["timeout"][1] == 3
    assert 0 < asked["open_s"][1] <= asked["open_s"][0] <= 1.95  # one limit for all steps of opening
