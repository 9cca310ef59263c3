"""Test full disks: the run ends with the cause, and the files written so far can be read."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path

import av
import numpy as np
import pytest

from fastsam_trt.errors import OutputStoppedError
from fastsam_trt.sinks import JsonLinesSink, VideoSink
from fastsam_trt.sinks.video.recording_file import RecordingFile
from fastsam_trt.sources import Frame
from support.made_results import made_result

Write = Callable[[Path, list[np.ndarray]], Path]

RESULT = made_result([np.ones((60, 80), bool)])
FRAME = Frame(RESULT.frame, 0, "made")


def _noise(count: int, height: int = 256, width: int = 256) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.integers(0, 256, (height, width, 3), np.uint8) for _ in range(count)]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 MB, if this process may mount one."""
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
    """A raw file whose disk is full after `room` bytes."""

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
def test_a_line_that_does_not_fit_is_removed(tmp_path: Path, error: BaseException) -> None:
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
def test_a_full_device() -> None:
    with JsonLinesSink(Path("/dev/full")) as sink, pytest.raises(OutputStoppedError, match="No space left on device"):
        sink.write(FRAME, RESULT)


@pytest.fixture
def full_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Return a function that makes the disk full after this many bytes of recordings."""

    def fill(room: int) -> None:
        real = FileIO.write
        lengths: dict[str, int] = {}

        class Disk:
            def __init__(self, file: FileIO) -> None:
                self._file, self._length = file, 0
                self.seek, self.truncate, self.close = file.seek, file.truncate, file.close

            def write(self, data: memoryview) -> int:
                left = room - lengths.setdefault("all", 0)
                if left <= 0:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                written = real(self._file, data[:left])
                lengths["all"] += written
                return written

        original = RecordingFile.__init__

        def make(self: RecordingFile, path: Path, *, stream: bool) -> None:
            original(self, path, stream=stream)
            self._raw = Disk(self._raw)

        monkeypatch.setattr(RecordingFile, "__init__", make)

    return fill


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".avi", ".mkv", ".webm", ".ts", ".gif"])
def test_a_full_disk_keeps_whole_frames(tmp_path: Path, suffix: str, full_after: Callable[[int], None]) -> None:
    path = tmp_path / f"out{suffix}"
    full_after(2_000_000)
    written = 0
    with VideoSink(path, 25) as sink, pytest.raises(OutputStoppedError, match=r"No space left on device after frame"):
        for picture in _noise(200):
            result = made_result([np.ones((4, 4), bool)], size=(256, 256))
            result.frame[:] = picture
            sink.write(FRAME, result)
            written += 1
    assert written > 5
    assert path.stat().st_size <= 2_000_000
    _check_playable(path, written)


def test_no_room_for_the_end_of_a_file(tmp_path: Path, full_after: Callable[[int], None]) -> None:
    path = tmp_path / "out.mp4"
    sink = VideoSink(path, 25)
    for _ in range(10):
        sink.write(FRAME, RESULT)
    full_after(0)
    sink._encoder._file._raw = _Full()
    with pytest.raises(OutputStoppedError, match="No space left on device after frame 10"):
        sink.close()
    _check_playable(path, 10)


def test_no_room_to_rewrite_the_file(tmp_path: Path, full_after: Callable[[int], None]) -> None:
    path = tmp_path / "out.mp4"
    sink = VideoSink(path, 25)
    for _ in range(10):
        sink.write(FRAME, RESULT)
    full_after(100)  # for the file that would replace it
    sink.close()
    assert path.read_bytes().count(b"moof") == 10
    assert _count(path) == 10
    assert [each.name for each in tmp_path.iterdir() if each.is_file()] == ["out.mp4"]


class _Full:
    """A file on a full disk."""

    def write(self, data: memoryview) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def seek(self, offset: int, whence: int = 0) -> int:
        return offset

    def truncate(self, length: int) -> None:
        pass

    def close(self) -> None:
        pass


def test_a_small_disk(small_disk: Path, tmp_path: Path, write_video: Write) -> None:
    source = write_video(tmp_path / "noise.avi", _noise(20, 512, 512) * 6)
    _check_stopped(source, small_disk, "")


def test_a_file_size_limit(tmp_path: Path, write_video: Write) -> None:
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
    _check_playable(out, len(records))
    assert "frames, " in done.stdout


def _check_playable(path: Path, written: int) -> None:
    """Check that all frames can be read, except those that the encoder or an open cluster held."""
    with av.open(str(path)) as container:
        count = sum(1 for _ in container.decode(video=0))
    assert written - 15 <= count <= written


def _count(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))
