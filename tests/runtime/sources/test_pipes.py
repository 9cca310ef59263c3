"""Pipes as sources: standard input, FIFOs and file descriptors, with videos, images and other data."""

from __future__ import annotations

import io
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from fastsam_trt import open_source
from fastsam_trt.errors import SourceNotFoundError, SourceUnreadableError
from fastsam_trt.frames.file_type import sniff
from fastsam_trt.sinks.frame_names import FrameNames
from fastsam_trt.sources import Frame
from fastsam_trt.sources.pipes.image_bytes import read_image_bytes
from fastsam_trt.sources.pipes.image_source import ImageSource
from fastsam_trt.sources.pipes.pipe import PeekableStream
from fastsam_trt.streaming import resolve_policy
from support.live_senders import images, numbered, read_number, shown
from support.made_videos import silent_wav

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no FIFOs and no /dev/fd here")


def encode(container: str, numbers: range, *, codec: str = "mpeg4", rate: int = 25, **options: str) -> bytes:
    """Numbered images as a video."""
    file = io.BytesIO()
    with av.open(file, "w", format=container, options=options) as output:
        stream = output.add_stream(codec, rate=rate, options={"qscale": "2", "flags": "+qscale", "g": "5"})
        stream.width, stream.height = numbered(0).shape[1::-1]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for number in numbers:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(numbered(number), format="bgr24")))
        output.mux(stream.encode(None))
    return file.getvalue()


@contextmanager
def piped(data: bytes) -> Iterator[str]:
    """A pipe that data are written to; yields the name of its read end."""
    reader, writer = os.pipe()

    def write() -> None:
        with open(writer, "wb") as file:
            try:
                file.write(data)
            except BrokenPipeError:  # nobody reads on
                return

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield f"/dev/fd/{reader}"
    finally:
        os.close(reader)
        thread.join()


def read(data: bytes, **options: int) -> list[Frame]:
    with piped(data) as name, open_source(name, **options) as source:
        return list(source)


@pytest.mark.parametrize("container", ["mpegts", "matroska", "avi", "flv", "nut"])
def test_a_video_through_a_pipe_is_every_frame_in_order(container: str) -> None:
    codec = "flv" if container == "flv" else "mpeg4"
    with piped(encode(container, range(60), codec=codec)) as name, open_source(name) as source:
        assert (source.kind, source.frames) == ("video", None)
        assert source.fps == pytest.approx(25)
        assert resolve_policy("auto", source) == "every"
        frames = list(source)
    assert shown(frames) == [(i, i) for i in range(60)]
    assert [frame.media_s for frame in frames] == pytest.approx([i / 25 for i in range(60)], abs=2e-3)
    assert [frame.timestamp_s for frame in frames] == [frame.media_s for frame in frames]


@pytest.mark.parametrize("name", ["-", "/dev/stdin", "pipe:0", "pipe:", "/dev/fd/0"])
def test_standard_input_has_many_names(name: str) -> None:
    code = (
        "import sys; from fastsam_trt import open_source\n"
        "with open_source(sys.argv[1]) as source: print(source.kind, len(list(source)))"
    )
    video = encode("mpegts", range(12))
    done = subprocess.run([sys.executable, "-c", code, name], input=video, capture_output=True, check=True, timeout=60)
    assert done.stdout == b"video 12\n"


def test_a_file_as_standard_input_is_a_file(tmp_path: Path) -> None:
    """It is seekable, so that an MP4 with its index at the end can be read."""
    clip = tmp_path / "clip"
    clip.write_bytes(encode("mp4", range(12)))
    with clip.open("rb") as file, open_source(f"pipe:{file.fileno()}") as source:
        assert source.frames == 12
        assert shown(list(source)) == [(i, i) for i in range(12)]


def test_a_fifo_is_waited_for(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    video = encode("mpegts", range(12))

    def write() -> None:
        time.sleep(0.3)
        with fifo.open("wb") as file:
            for part in range(0, len(video), 20_000):
                file.write(video[part : part + 20_000])
                file.flush()
                time.sleep(0.05)

    thread = threading.Thread(target=write)
    thread.start()
    with open_source(fifo) as source:
        assert shown(list(source)) == [(i, i) for i in range(12)]
    thread.join()


def test_a_stride_and_damage() -> None:
    video = bytearray(encode("mpegts", range(60)))
    assert shown(read(bytes(video), vid_stride=7)) == [(i, i) for i in range(0, 60, 7)]
    middle = len(video) // 2 // 188 * 188
    video[middle : middle + 188 * 4] = os.urandom(188 * 4)
    with piped(bytes(video)) as name, open_source(name) as source:
        frames = list(source)
        health = source.health
    assert len(frames) >= 50
    assert read_number(frames[-1].image) == 59
    assert health.stream_errors + health.damaged_frames + health.lost_frames > 0
    assert frames[-1].media_s == pytest.approx(59 / 25, abs=0.05)


def test_an_mp4_needs_its_index_in_front() -> None:
    assert shown(read(encode("mp4", range(9), movflags="frag_keyframe+empty_moov"))) == [(i, i) for i in range(9)]
    with pytest.raises(
        SourceUnreadableError, match=r"index at the end; move the index to the front: ffmpeg .* \+faststart"
    ):
        read(encode("mp4", range(9)))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp", ".tiff", ".ppm"])
def test_an_image_through_a_pipe(suffix: str) -> None:
    data = cv2.imencode(suffix, numbered(77))[1].tobytes()
    with piped(data) as name, open_source(name) as source:
        assert (source.kind, source.frames, source.fps) == ("images", 1, None)
        assert shown(list(source)) == [(0, 77)]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".ppm"])
def test_a_sequence_of_images_is_a_video(suffix: str) -> None:
    data = b"".join(cv2.imencode(suffix, image)[1].tobytes() for image in images(0, 5))
    with piped(data) as name, open_source(name) as source:
        assert source.kind == "video"
        assert shown(list(source)) == [(i, i) for i in range(5)]


def test_an_image_with_embedded_images_is_one_image() -> None:
    """As phones write it: a second JPEG after the first, announced in its header (CIPA DC-007)."""
    first, second = (cv2.imencode(".jpg", numbered(number))[1].tobytes() for number in (5, 6))
    announced = first[:2] + b"\xff\xe2\x00\x06MPF\0" + first[2:]
    assert shown(read(announced + second)) == [(0, 5)]


def test_media_times_of_a_multipart_stream_are_capture_times() -> None:
    """As `curl http://camera/video | ...` sends them; FFmpeg assumes 25 frames per second."""
    reader, writer = os.pipe()

    def write() -> None:
        with open(writer, "wb", buffering=0) as file:
            for image in images(0, 8):
                jpeg = cv2.imencode(".jpg", image)[1].tobytes()
                file.write(
                    b"--x\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg) + jpeg + b"\r\n"
                )
                time.sleep(0.15)

    thread = threading.Thread(target=write)
    thread.start()
    with open_source(f"/dev/fd/{reader}") as source:
        assert (source.kind, source.fps) == ("video", None)
        frames = list(source)
    thread.join()
    os.close(reader)
    assert shown(frames) == [(i, i) for i in range(8)]
    assert frames[-1].media_s > 5 * 0.15


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "found an empty pipe"),
        (np.random.default_rng(0).bytes(300_000), "found data that FFmpeg can't read as one"),
        (b"some text, which is no video\n" * 9, "found text"),
        (b"%PDF-1.7\n" + bytes(9000), "found a PDF"),
        (cv2.imencode(".jpg", numbered(7))[1].tobytes()[:900], "found a JPEG that is"),
    ],
)
def test_data_that_are_not_a_video_are_refused_in_one_line(data: bytes, found: str) -> None:
    with pytest.raises(SourceUnreadableError, match=found) as caught:
        read(data)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 1


def test_every_page_of_a_tiff_is_an_image(tmp_path: Path) -> None:
    path = tmp_path / "pages.tif"
    assert cv2.imwritemulti(str(path), [numbered(number) for number in range(3)])
    data = path.read_bytes()
    source = ImageSource("-", data)
    assert (source.kind, source.frames) == ("images", 3)
    frames = list(source)
    assert shown(frames) == [(0, 0), (1, 1), (2, 2)]
    assert [frame.source for frame in frames] == ["-#1", "-#2", "-#3"]
    names = FrameNames("images")
    assert [names.stem(frame) for frame in frames] == ["stdin-1", "stdin-2", "stdin-3"]
    with pytest.raises(SourceUnreadableError, match="the end of its list of pages, found 1 page"):
        list(ImageSource("-", data[: len(data) // 2]))


def test_a_large_image_is_buffered_once() -> None:
    """Otherwise a pipe, which gives 64 KiB at a time, takes minutes instead of a second."""

    class Counted(PeekableStream):
        looked_at_b = 0

        def __init__(self, data: bytes) -> None:
            super().__init__()
            self._rest = io.BytesIO(data)

        def receive(self, size: int) -> bytes:
            return self._rest.read(min(size, 4096))

        def peek(self, size: int, start: int = 0) -> bytes:
            found = super().peek(size, start)
            self.looked_at_b += len(found)
            return found

    for suffix in (".ppm", ".bmp", ".png"):
        data = cv2.imencode(suffix, np.random.default_rng(0).integers(0, 256, (500, 800, 3), np.uint8))[1].tobytes()
        source = Counted(data)
        assert read_image_bytes("made", source, sniff(data)) == data
        assert source.looked_at_b < 3 * len(data)
        followed = Counted(data * 2)
        assert read_image_bytes("made", followed, sniff(data)) is None
        assert followed.peek(2 * len(data)) == data * 2


def test_audio_alone_is_refused() -> None:
    with pytest.raises(SourceUnreadableError, match="found audio"):
        read(silent_wav())


def test_unreadable_pipes_are_refused() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    os.close(writer)
    with pytest.raises(SourceNotFoundError, match=r"expected a readable pipe, found none \(Bad file"):
        open_source(f"pipe:{reader}")
    main, terminal = os.openpty()
    with pytest.raises(SourceNotFoundError, match=r"found a terminal; pipe a video in: cat .* --video -"):
        open_source(f"/dev/fd/{terminal}")
    os.close(main)
    os.close(terminal)


def test_stop_ends_the_wait_for_a_writer() -> None:
    video = encode("mpegts", range(12))
    reader, writer = os.pipe()
    os.write(writer, video[: 188 * (len(video) // 188)])
    with open_source(f"/dev/fd/{reader}") as source:
        threading.Timer(0.3, source.stop).start()
        began = time.perf_counter()
        frames = list(source)
        assert time.perf_counter() - began < 8
        assert shown(frames) == [(i, i) for i in range(len(frames))]
        assert list(source) == []
    os.close(writer)
    os.close(reader)


@pytest.mark.parametrize("after", ["", "video"])
def test_an_interrupt_ends_the_wait(tmp_path: Path, after: str) -> None:
    """While a FIFO has no writer, and while FFmpeg waits for more data."""
    code = (
        "import sys; from fastsam_trt import open_source\n"
        "print('here', flush=True)\n"
        "try:\n"
        "    for frame in open_source(sys.argv[1]): print('frame', flush=True)\n"
        "except KeyboardInterrupt: print('interrupted', flush=True)"
    )
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with subprocess.Popen([sys.executable, "-c", code, str(fifo)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        file = fifo.open("wb") if after else None
        if file is not None:
            file.write(encode("mpegts", range(12)))
            file.flush()
            assert process.stdout.readline() == "frame\n"
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        lines = process.stdout.read().split()
        if file is not None:
            file.close()
    assert lines[-1] == "interrupted"
    assert process.returncode == 0


def test_the_command_takes_a_pipe(tmp_path: Path) -> None:
    """Its end is the end of the run, without an error; other data give one line on stderr."""
    command = [sys.executable, "-m", "fastsam_trt", "run", "--video", "-", "--model", "colours"]
    out = tmp_path / "out.jsonl"
    video = encode("mpegts", range(12))
    done = subprocess.run([*command, "--json", str(out)], input=video, capture_output=True, check=False, timeout=90)
    assert done.returncode == 0, done.stderr
    assert len(out.read_text().splitlines()) == 12
    done = subprocess.run(command, input=b"no video", capture_output=True, check=False, timeout=90)
    assert done.returncode == 1
    assert done.stderr == b"fastsam-trt: error: source '-': expected a video or image, found text\n"


def test_two_iterations_are_one_stream() -> None:
    with piped(encode("mpegts", range(12))) as name, open_source(name) as source:
        first = list(itertools.islice(source, 5))
        assert shown(first + list(source)) == [(i, i) for i in range(12)]
