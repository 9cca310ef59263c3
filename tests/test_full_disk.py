"""Disks that fill up: the run ends with the cause, and what was written stays whole."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from fastsam_engine.errors import FastsamError
from fastsam_trt.errors import OutputStoppedError
from fastsam_trt.sinks import JsonLinesSink, VideoSink
from fastsam_trt.sources import Frame
from made_results import made_result

Write = Callable[[Path, list[np.ndarray]], Path]

RESULT = made_result([np.ones((60, 80), bool)])
FRAME = Frame(RESULT.frame, 0, "made")


def _noise(count: int, height: int = 256, width: int = 256) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.integers(0, 256, (height, width, 3), np.uint8) for _ in range(count)]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 MB, where this process may mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = shutil.which("mount")
    if (
        mount is None
        or subprocess.run(
            [mount, "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("a small disk can't be mounted here")
    yield folder
    subprocess.run(["umount", folder], check=True)


class FullFile:
    """A raw file whose disk is full after so many bytes."""

    def __init__(self, path: Path, room: int, error: BaseException) -> None:
        self._file = path.open("wb", buffering=0)
        self._room = room
        self._error = error
        self.truncate, self.seek, self.close = self._file.truncate, self._file.seek, self._file.close
        self.fileno = self._file.fileno

    def write(self, data: memoryview) -> int:
        if not self._room:
            raise self._error
        written = self._file.write(data[: min(self._room, 50)])
        self._room -= written
        return written


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), KeyboardInterrupt()])
def test_a_line_that_does_not_fit_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "out.jsonl"
    with JsonLinesSink(path) as sink:
        sink.write(FRAME, RESULT)
    whole = path.read_bytes()
    with JsonLinesSink(path) as sink:
        sink._file = FullFile(path, 2 * len(whole) + len(whole) // 2, error)
        sink.write(FRAME, RESULT)
        sink.write(FRAME, RESULT)
        with pytest.raises((OutputStoppedError, KeyboardInterrupt)) as caught:
            sink.write(FRAME, RESULT)
    assert path.read_bytes() == 2 * whole
    if isinstance(error, OSError):
        assert isinstance(caught.value, OutputStoppedError)
        assert "after frame 2" in str(caught.value)
        assert os.strerror(errno.ENOSPC) in str(caught.value)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_device_that_is_full() -> None:
    with JsonLinesSink(Path("/dev/full")) as sink, pytest.raises(OutputStoppedError, match="No space left on device"):
        sink.write(FRAME, RESULT)


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv", ".webm"])
def test_a_video_ends_while_there_is_room_to_finish_it(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"out{suffix}"

    def usage(of: Path) -> object:
        return SimpleNamespace(free=6_000_000 - of.stat().st_size)

    monkeypatch.setattr("fastsam_trt.sinks.room.shutil.disk_usage", usage)
    written = 0
    with VideoSink(path, 25) as sink, pytest.raises(OutputStoppedError, match=r"found [\d.]+ MB left after frame"):
        for picture in _noise(400):
            result = made_result([np.ones((4, 4), bool)], size=(256, 256))
            result.frame[:] = picture
            sink.write(FRAME, result)
            written += 1
    assert path.stat().st_size < 6_000_000
    assert _count(path) == written > 5


def test_a_small_disk_that_fills(small_disk: Path, tmp_path: Path, write_video: Write) -> None:
    source = write_video(tmp_path / "noise.avi", _noise(20, 512, 512) * 6)
    _check_stopped(source, small_disk, "")


def test_a_limit_of_file_sizes(tmp_path: Path, write_video: Write) -> None:
    pytest.importorskip("resource")
    source = write_video(tmp_path / "noise.avi", _noise(20, 512, 512) * 6)
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (7_000_000, 7_000_000))"
    _check_stopped(source, tmp_path, limit)


def _check_stopped(source: Path, folder: Path, before: str) -> None:
    out, lines = folder / "out.mp4", folder / "out.jsonl"
    code = f"{before}\nfrom fastsam_trt.cli.main import entry; entry()"
    done = subprocess.run(
        [sys.executable, "-c", code, "run", "--video", source, "--model", "colours", "--save", out, "--json", lines],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert f"output {out}: expected room for more, found " in done.stderr
    records = [json.loads(line) for line in lines.read_text().splitlines()]
    assert 5 < len(records) < 120
    assert _count(out) in (len(records), len(records) - 1)
    assert "frames, " in done.stdout


def test_a_file_that_no_longer_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastsam_trt.sinks.video._STUCK_FRAMES", 5)
    path = tmp_path / "out.mp4"
    with VideoSink(path, 25) as sink:
        sink.write(FRAME, RESULT)
        sink._writer = _Deaf(sink._writer)
        with pytest.raises(OutputStoppedError, match="no longer grows"):
            for _ in range(20):
                sink.write(FRAME, RESULT)
        assert sink._frames < 10


class _Deaf:
    """A writer that takes frames and writes nothing."""

    def __init__(self, writer: cv2.VideoWriter) -> None:
        self._writer = writer

    def write(self, picture: np.ndarray) -> None:
        pass

    def release(self) -> None:
        self._writer.release()


def test_a_file_that_can_not_be_played_is_told(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    sink = VideoSink(path, 25)
    sink.write(FRAME, RESULT)
    sink._writer.release()
    path.write_bytes(path.read_bytes()[:40])
    sink._writer = _Deaf(cv2.VideoWriter())
    with pytest.raises(FastsamError, match="can't be played"):
        sink.close()


def _count(path: Path) -> int:
    capture, count = cv2.VideoCapture(str(path)), 0
    while capture.grab():
        count += 1
    return count
