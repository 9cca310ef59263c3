"""Recordings: right duration and colours, playable however the run ended."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pytest

from fastsam_engine.errors import OutputError
from fastsam_trt.errors import OutputStoppedError
from fastsam_trt.sinks import VideoSink
from fastsam_trt.sinks.video.canvas import Canvas
from fastsam_trt.sinks.video.formats import FORMATS
from fastsam_trt.sinks.video.timeline import Timeline
from fastsam_trt.sources import Frame, open_source
from support.made_recordings import RAW, image_of, killed, record
from support.made_videos import write_made
from support.typed import present

STAMPED = [suffix for suffix in FORMATS if suffix != ".avi"]


def _packets(path: Path) -> list[float]:
    """Times of the images, s."""
    with av.open(str(path)) as container:
        return [
            float(packet.pts * packet.time_base)
            for packet in container.demux(video=0)
            if packet.pts is not None and packet.size
        ]


def _duration_s(path: Path) -> float:
    with av.open(str(path)) as container:
        assert container.duration is not None
        return container.duration / 1e6


def _images(path: Path) -> list[np.ndarray]:
    """The images, BGR."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]


def _variable() -> list[float]:
    return np.cumsum(np.random.default_rng(1).choice([0.03, 0.04, 0.2, 0.5], 25)).tolist()


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(
    ("fps", "times", "expected_s"),
    [
        (25, [index / 25 for index in range(20)], 0.8),
        (25, [index / 5 for index in range(11)], 2.2),  # the header lies
        (25, [index / 25 for index in range(0, 50, 3)], 2.04),  # every third
        (25, [*np.arange(0, 1, 0.04), *np.arange(7, 8, 0.04)], 8.0),  # away for six seconds
        (25, [100 + index / 25 for index in range(20)], 0.8),
        (None, [index / 10 for index in range(20)], 2.0),
        (25, _variable(), _variable()[-1] - _variable()[0] + 0.12),
    ],
    ids=["steady", "lying", "stride", "lost", "late", "unknown", "variable"],
)
def test_a_recording_lasts_as_long_as_its_source(
    tmp_path: Path, suffix: str, fps: float | None, times: list[float], expected_s: float
) -> None:
    path = record(tmp_path / f"out{suffix}", fps, times)
    usual_s = float(np.median(np.diff(times)))
    assert _duration_s(path) == pytest.approx(expected_s, abs=max(usual_s, 0.13))
    if suffix in STAMPED:
        found = _packets(path)
        assert np.allclose(np.array(found) - found[0], np.array(times) - times[0], atol=0.011)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm", ".avi", ".ts", ".mov"])
@pytest.mark.parametrize("fps", [119.883, 0.5, 30000 / 1001, 1000, 1 / 3, 23.976])
@pytest.mark.parametrize("stamped", [True, False])
def test_any_frame_rate(tmp_path: Path, suffix: str, fps: float, stamped: bool) -> None:
    times = [index / fps if stamped else None for index in range(12)]
    path = record(tmp_path / f"out{suffix}", fps, times)
    assert _duration_s(path) == pytest.approx(12 / fps, abs=1.1 / fps)
    assert len(_images(path)) == 12


def test_frames_with_equal_times_move_by_a_tick_or_are_dropped() -> None:
    line = Timeline(present(FORMATS[".mkv"].tick_s), 1, 0.04)
    assert [line.tick_of(time_s) for time_s in (0.0, 0.0, 0.0, 0.0004, 0.003, 0.002, 0.1)] == [
        0, 1, None, None, 3, None, 100,
    ]  # fmt: skip
    line = Timeline(present(FORMATS[".mkv"].tick_s), 1, 1 / 3000)
    ticks = [tick for index in range(3000) if (tick := line.tick_of(index / 3000)) is not None]
    assert all(one < other for one, other in pairwise(ticks))
    assert len(ticks) == pytest.approx(1000, abs=2)
    assert ticks[-1] == pytest.approx(1000, abs=2)


def test_gif_frames_last_long_enough_for_browsers(tmp_path: Path) -> None:
    path = record(tmp_path / "out.gif", 120, [index / 120 for index in range(60)])
    assert np.diff(_packets(path)).min() > 0.0199
    assert _duration_s(path) == pytest.approx(0.5, abs=0.03)
    assert b"NETSCAPE2.0" in path.read_bytes()  # it goes on for ever


@pytest.mark.parametrize("suffix", FORMATS)
def test_an_hour_without_frames_is_an_hour_in_the_file(tmp_path: Path, suffix: str) -> None:
    path = record(tmp_path / f"out{suffix}", 25, [0, 0.04, 3600, 3600.04])
    assert _duration_s(path) == pytest.approx(3600.08, abs=0.1)
    assert path.stat().st_size < 3_000_000


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("bgr", [(0, 0, 255), (0, 255, 0), (255, 0, 0), (255, 255, 255), (0, 0, 0), (40, 120, 200)])
def test_colours_are_kept(tmp_path: Path, suffix: str, bgr: tuple[int, int, int]) -> None:
    image = np.full((90, 120, 3), bgr, np.uint8)
    path = record(tmp_path / f"out{suffix}", 25, [index / 25 for index in range(30)], images=[image] * 30)
    shown = _images(path)
    assert len(shown) == 30
    for found in shown:
        assert np.abs(found.astype(int) - image).max() <= 6


def test_stream_metadata(tmp_path: Path) -> None:
    for suffix, codec in ((".mp4", "h264"), (".m4v", "h264"), (".mov", "h264"), (".mkv", "h264"), (".webm", "vp9")):
        with av.open(str(record(tmp_path / f"out{suffix}", 25, [0, 0.04]))) as container:
            context = container.streams.video[0].codec_context
            assert context.codec.canonical_name == codec
            assert context.pix_fmt == "yuv420p"
            assert (context.colorspace, context.color_range) == (1, 1)  # BT.709, limited
            assert context.sample_aspect_ratio in (None, 1)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(("height", "width"), [(61, 83), (60, 83), (61, 80), (1, 1), (17, 3)])
def test_odd_sizes_are_padded(tmp_path: Path, suffix: str, height: int, width: int) -> None:
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2] = 200
    path = record(tmp_path / f"out{suffix}", 25, [index / 25 for index in range(30)], images=[image] * 30)
    found = _images(path)[0]
    align_px = FORMATS[suffix].align_px
    assert found.shape == (height + height % align_px, width + width % align_px, 3)
    if height > 10 and width > 10:
        assert np.abs(found[: height // 2 - 2, :width].astype(int) - 200).max() < 12
        assert found[height // 2 + 2 :].max() < 12


def test_non_square_pixels_become_square() -> None:
    canvas = Canvas(2)
    image = image_of(0, 576, 720)
    assert canvas.fit(image, 64 / 45).shape == (576, 1024, 3)
    assert canvas.fit(image_of(0, 576, 1024)).shape == (576, 1024, 3)
    assert Canvas(2).fit(image, 0.5).shape == (1152, 720, 3)
    for wrong in (0.0, -1.0, float("nan"), float("inf"), 1e9):
        assert Canvas(2).fit(image, wrong).shape == image.shape
    same = np.zeros((4, 4, 3), np.uint8)
    assert Canvas(2).fit(same) is same


def test_another_size_is_letterboxed_and_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def ball(height: int, width: int) -> np.ndarray:
        rows, columns = np.mgrid[:height, :width]
        drawn = np.full((height, width, 3), 90, np.uint8)
        drawn[(rows - height / 2) ** 2 + (columns - width / 2) ** 2 < (height / 4) ** 2] = 255
        return drawn

    images = [ball(96, 128), ball(200, 100), ball(200, 100), ball(48, 256), ball(96, 128)]
    with caplog.at_level(logging.WARNING):
        path = record(tmp_path / "out.mp4", 25, [index / 25 for index in range(5)], images=images)
    assert len([each for each in caplog.messages if "are scaled to the recording's 128 x 96 px" in each]) == 1
    found = _images(path)
    assert {each.shape for each in found} == {(96, 128, 3)}
    for number, (left, top) in ((1, (40, 0)), (3, (0, 36)), (4, (0, 0))):
        bright = found[number].mean(axis=2) > 170
        rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
        assert abs(np.ptp(rows) - np.ptp(columns)) <= 3  # still round
        assert abs(rows.mean() - 47.5) < 2
        assert abs(columns.mean() - 63.5) < 2
        assert (found[number][0, left + 2 : 126 - left].mean() > 60) == (top == 0)
    assert found[1][:, :36].max() < 25
    assert found[3][:32].max() < 25


def test_a_finished_mp4_has_its_index_in_front_and_no_fragments(tmp_path: Path) -> None:
    for suffix in (".mp4", ".m4v", ".mov"):
        data = record(tmp_path / f"out{suffix}", 25, [index / 25 for index in range(60)]).read_bytes()
        assert 0 < data.index(b"moov") < data.index(b"mdat")
        assert b"moof" not in data
    assert len(list(tmp_path.iterdir())) == 4  # with the home folder


def test_a_link_to_a_file_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.mp4").write_bytes(b"old")
    (tmp_path / "link.mp4").symlink_to(tmp_path / "real.mp4")
    (tmp_path / "real.mp4").chmod(0o640)
    record(tmp_path / "link.mp4", 25, [0, 0.04])
    assert (tmp_path / "link.mp4").is_symlink()
    assert (tmp_path / "real.mp4").stat().st_mode & 0o777 == 0o640
    assert len(_images(tmp_path / "real.mp4")) == 2


@pytest.mark.parametrize("name", ["a:b.mp4", "http:x.mkv", "sp ace %d.mp4", "-dash.webm", "\N{SNOWMAN}.mov", "OUT.MP4"])
def test_file_names_are_no_protocols(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    record(Path(name), 25, [0, 0.04])
    with (tmp_path / name).open("rb") as file, av.open(file, "r") as container:
        assert len(list(container.decode(video=0))) == 2


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_killed_run_leaves_a_playable_file(tmp_path: Path, suffix: str) -> None:
    path = killed(tmp_path / f"out{suffix}")
    found = _images(path)
    lost = {".mkv": 20, ".webm": 20}.get(suffix, 4)  # Matroska's clusters of half a second
    assert 100 - lost <= len(found) <= 100
    for index in (0, 50, len(found) - 1):
        assert np.abs(found[index].astype(int) - image_of(index)).mean() < 20
    times = _packets(path)
    assert np.allclose(np.diff(times), 0.04, atol=0.011)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
@pytest.mark.parametrize("suffix", ["", *FORMATS])
def test_pipes_get_streamable_video(tmp_path: Path, suffix: str) -> None:
    pipe, kept = tmp_path / f"pipe{suffix}", tmp_path / "kept"
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: kept.write_bytes(pipe.read_bytes()))
    reader.start()
    record(pipe, 25, [index / 25 for index in range(50)])
    reader.join(60)
    assert len(_images(kept)) == 50
    assert pipe.is_fifo()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_closed_pipe_ends_the_run(tmp_path: Path, suffix: str) -> None:
    pipe = tmp_path / f"pipe{suffix}"
    os.mkfifo(pipe)

    def read_some() -> None:
        with pipe.open("rb") as file:
            file.read(3000)

    reader = threading.Thread(target=read_some)
    reader.start()
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    with pytest.raises(
        OutputStoppedError, match="expected its reader to stay open, found Broken pipe after frame"
    ) as told:
        record(pipe, 25, [index / 25 for index in range(500)], images=[noise] * 500)
    assert told.value.exit_code == 1
    assert "make room" not in str(told.value)
    reader.join(60)


def test_standard_output_takes_a_video(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from support.made_recordings import record;"
        "record(Path('/dev/stdout'), 25, [index / 25 for index in range(50)])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    kept = tmp_path / "kept"
    kept.write_bytes(
        subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True).stdout
    )
    assert len(_images(kept)) == 50
    with kept.open("wb") as file:
        subprocess.run([sys.executable, "-c", code], env=environment, check=True, stdout=file)
    assert len(_images(kept)) == 50


def test_unwritable_paths_are_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "folder.mp4").mkdir()
    for name, expected in (
        ("folder.mp4", "found a folder"),
        ("no/out.mp4", "mkdir -p"),
        ("out", "expected a suffix among .mp4, .m4v, .mov, .mkv, .webm, .avi, .ts, .gif, found ''"),
        ("out.mp3", "expected a suffix among .mp4"),
        ("out.mp4.part", "expected a suffix among .mp4"),
    ):
        with pytest.raises(OutputError, match=expected) as told:
            VideoSink(tmp_path / name, 25)
        assert told.value.exit_code == 2


def test_a_missing_encoder_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for suffix in (".mp4", ".mkv"):
        monkeypatch.setitem(FORMATS, suffix, replace(FORMATS[suffix], encoder="h264_of_nobody"))
    working = r"choose a suffix among \.m4v, \.mov, \.webm, \.avi, \.ts, \.gif"
    with pytest.raises(OutputError, match=f"the encoder h264_of_nobody, found an FFmpeg without it; {working}"):
        VideoSink(tmp_path / "out.mp4", 25)
    VideoSink(tmp_path / "out.webm", 25)


def test_an_unsupported_size_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    image = np.zeros((2, 20_000, 3), np.uint8)
    with pytest.raises(OutputError, match="libx264 can't encode frames of 20000 x 2 px"):
        record(path, 25, [0, 0.04], images=[image] * 2)
    assert not path.exists()


def test_nothing_is_written_without_a_frame(tmp_path: Path) -> None:
    (tmp_path / "out.mp4").write_bytes(b"old")
    with VideoSink(tmp_path / "out.mp4", 25):
        pass
    assert (tmp_path / "out.mp4").read_bytes() == b"old"


def test_an_interrupt_during_a_write_is_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    sink = VideoSink(path, 25, RAW)
    for index in range(10):
        sink.write(Frame(image_of(index), index, "made", media_s=index / 25), cast("Any", image_of(index)))
    file: Any = present(sink._encoder)._file
    file._raw = _Interrupted(file._raw)
    with pytest.raises(KeyboardInterrupt):
        sink.write(Frame(image_of(10), 10, "made", media_s=0.4), cast("Any", image_of(10)))
    sink.close()
    assert len(_images(path)) == 11


class _Interrupted:
    """A file whose next write is interrupted by Ctrl-C after the bytes are written; their count is lost."""

    def __init__(self, file: Any) -> None:
        self._file, self._is_due = file, True

    def write(self, data: memoryview) -> int:
        written = self._file.write(data)
        if self._is_due:
            self._is_due = False
            raise KeyboardInterrupt
        return written

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)


def test_only_a_recording_loads_ffmpeg() -> None:
    code = "import fastsam_trt.sinks, fastsam_trt.cli.run, sys; print('av' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_recording_ends_with_its_source(tmp_path: Path) -> None:
    """Few frames are written, and the last one is shown for longer or shorter than the interval between them."""
    path = tmp_path / "out.mp4"
    with VideoSink(path, 60, RAW, start_s=0.0, find_end_s=lambda: 8.125) as sink:
        for index, media_s in enumerate((0.5, 2.0, 4.0, 6.0, 8.0)):
            image = image_of(index)
            sink.write(Frame(image, index, "made", media_s=media_s), cast("Any", image))
    assert _duration_s(path) == pytest.approx(8.125, abs=0.001)
    assert _packets(path) == pytest.approx([0, 2, 4, 6, 8], abs=0.001)


@pytest.mark.parametrize("stride", [1, 3])
@pytest.mark.parametrize("times", [[0, 40, 80, 1080, 1120, 1160], [i * 40 for i in range(8)]])
def test_end_time_of_a_video_file(tmp_path: Path, times: list[int], stride: int) -> None:
    path = write_made(tmp_path / "in.mkv", [image_of(i) for i in range(len(times))], times=times)
    with open_source(path, vid_stride=stride) as source:
        assert source.end_s is None
        assert len(list(source)) == -(-len(times) // stride)
        assert source.end_s == pytest.approx(times[-1] / 1000 + 0.04, abs=0.002)
