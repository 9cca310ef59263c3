"""Sound of recordings: in sync with the video, and never able to break it."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from fastsam_trt.cli.main import main
from fastsam_trt.sinks.video.formats import FORMATS
from fastsam_trt.sources import open_source
from support.made_recordings import FPS, SECONDS, record, write_source

SOURCES = [
    (".mp4", "aac"), (".mkv", "libmp3lame"), (".mkv", "pcm_s16le"), (".ts", "aac"), (".mp4", "ac3"), (".mkv", "flac"),
    (".webm", "libopus"),
]  # fmt: skip


def _record_images(source: Path, out: Path, from_s: float = 0.0, to_s: float = 99.0) -> Path:
    with av.open(str(source)) as container:
        stream = container.streams.video[0]
        start_s = (container.start_time or 0) / 1e6
        found = [(frame.time - start_s, frame.to_ndarray(format="bgr24")) for frame in container.decode(stream)]
    kept = [(time_s, image) for time_s, image in found if from_s <= time_s < to_s]
    return record(out, FPS, [time_s for time_s, _ in kept], images=[image for _, image in kept], sound=source)


def _flashes_s(path: Path) -> list[float]:
    found, before = [], 0.0
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            level = float(frame.to_ndarray(format="gray").mean())
            if level > 100 >= before:
                found.append(frame.time)
            before = level
    return found


def _sound(path: Path) -> tuple[np.ndarray, np.ndarray, str]:
    """Times, s, and levels of the sound, and its codec."""
    times, levels = [], []
    with av.open(str(path)) as container:
        resampler = av.AudioResampler("flt", "mono")
        for frame in container.decode(audio=0):
            for plain in resampler.resample(frame):
                level = np.abs(plain.to_ndarray()[0])
                levels.append(level)
                times.append(frame.time + np.arange(len(level)) / plain.sample_rate)
        return np.concatenate(times), np.concatenate(levels), container.streams.audio[0].codec_context.name


def _beeps_s(path: Path) -> list[float]:
    times, levels, _ = _sound(path)
    loud = times[levels > 0.3]
    return [float(loud[0]), *loud[1:][np.diff(loud) > 0.3].tolist()]


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
@pytest.mark.parametrize(("container", "codec"), SOURCES)
def test_sound_of_any_codec_stays_in_sync(tmp_path: Path, suffix: str, container: str, codec: str) -> None:
    _check_together(write_source(tmp_path / f"source{container}", codec), tmp_path / f"out{suffix}", 0.52, 3.2)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".avi", ".ts"])
def test_sound_of_any_container_stays_in_sync(tmp_path: Path, suffix: str) -> None:
    _check_together(write_source(tmp_path / "source.mp4", "aac"), tmp_path / f"out{suffix}", 0.0, 99.0)


def _check_together(source: Path, path: Path, from_s: float, to_s: float) -> None:
    out = _record_images(source, path, from_s, to_s)
    flashes, beeps = ([at for at in of(out) if at > 0.1] for of in (_flashes_s, _beeps_s))
    assert len(flashes) == 3
    assert np.allclose(flashes, beeps, atol=0.04)
    times, _, _ = _sound(out)
    assert times[0] < 0.06
    assert times[-1] == pytest.approx(min(to_s, SECONDS) - from_s, abs=0.1)


@pytest.mark.parametrize(
    ("codec", "container", "suffix", "expected"),
    [
        ("aac", ".mp4", ".mp4", True), ("aac", ".mp4", ".mkv", True), ("libopus", ".webm", ".webm", True),
        ("libopus", ".webm", ".mp4", True), ("flac", ".mkv", ".mkv", True), ("libmp3lame", ".mkv", ".avi", True),
        ("aac", ".mp4", ".webm", False), ("pcm_s16le", ".mkv", ".mp4", False), ("ac3", ".mp4", ".mp4", False),
    ],
)  # fmt: skip
def test_sound_is_copied_if_the_container_takes_it(
    tmp_path: Path, codec: str, container: str, suffix: str, expected: bool
) -> None:
    def packets(path: Path) -> set[bytes]:
        with av.open(str(path)) as opened:
            return {bytes(packet) for packet in opened.demux(audio=0) if packet.size}

    source = write_source(tmp_path / f"source{container}", codec)
    out = _record_images(source, tmp_path / f"out{suffix}")
    found = packets(out)
    assert found
    assert (len(found & packets(source)) > 0.9 * len(found)) == expected


def test_sound_times_are_relative_to_the_start_of_the_file(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source.ts", "aac", start_s=7.0)
    out = _record_images(source, tmp_path / "out.mp4")
    assert np.allclose(_flashes_s(out)[1:], _beeps_s(out)[1:], atol=0.04)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
@pytest.mark.parametrize("codec", ["aac", "libmp3lame"])
def test_sound_continues_across_concatenated_streams(tmp_path: Path, codec: str, suffix: str) -> None:
    part = write_source(tmp_path / "part.ts", codec).read_bytes()
    joined = tmp_path / "joined.ts"
    joined.write_bytes(part + part)
    with open_source(joined) as source:
        frames = list(source)
    times_s = [frame.media_s for frame in frames]
    out = record(tmp_path / f"out{suffix}", FPS, times_s, images=[frame.image for frame in frames], sound=joined)
    flashes, beeps = _flashes_s(out), _beeps_s(out)
    assert len(flashes) == len(beeps) == 2 * SECONDS
    assert np.allclose(flashes, beeps, atol=0.06)


def test_sound_stays_in_sync_with_sparse_frames(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source.mp4", "aac")
    times = [0.0, 0.04, 1.0, 1.04, 3.0, 3.2]
    for suffix in (".mp4", ".mkv", ".webm"):
        out = record(tmp_path / f"out{suffix}", FPS, times, sound=source)
        assert np.allclose(_beeps_s(out)[1:], [1, 2, 3], atol=0.04)


def test_errors_of_the_sound_are_warnings(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = write_source(tmp_path / "source.mkv", "aac")
    data = source.read_bytes()
    half = len(data) // 2
    generator = np.random.default_rng(0)
    broken = {
        "gone.mp4": None,
        "text.mp4": b"not a video",
        "cut.mkv": data[:half],
        "noise.mkv": data[:half] + generator.integers(0, 256, len(data) - half, np.uint8).tobytes(),
    }
    for name, content in broken.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
        for suffix in (".mp4", ".webm"):
            with caplog.at_level(logging.WARNING):
                caplog.clear()
                out = record(tmp_path / f"out{suffix}", FPS, [i / FPS for i in range(100)], sound=tmp_path / name)
            with av.open(str(out)) as container:
                assert sum(1 for _ in container.decode(video=0)) == 100
            if name in {"gone.mp4", "text.mp4"}:
                assert any("its sound can't be kept" in each for each in caplog.messages)


def test_a_container_that_refuses_the_sound_is_written_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    source = write_source(tmp_path / "source.mp4", "ac3")  # fragmented MP4 wants a packet of it before its header
    monkeypatch.setitem(FORMATS, ".mp4", replace(FORMATS[".mp4"], copied_sounds=frozenset({"ac3"})))
    with caplog.at_level(logging.WARNING):
        out = record(tmp_path / "out.mp4", FPS, [index / FPS for index in range(50)], sound=source)
    assert any("its sound can't be kept" in each for each in caplog.messages)
    with av.open(str(out)) as container:
        assert not container.streams.audio
        assert sum(1 for _ in container.decode(video=0)) == 50


def test_gifs_and_silent_files_have_no_sound(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    silent = record(tmp_path / "silent.mp4", FPS, [0, 0.04])
    source = write_source(tmp_path / "source.mp4", "aac")
    for sound, name in ((silent, "out.mp4"), (source, "out.gif")):
        with av.open(str(record(tmp_path / name, FPS, [0, 0.04], sound=sound))) as container:
            assert not container.streams.audio
    assert not caplog.messages


@pytest.mark.parametrize("flags", [(), ("--no-audio",)])
def test_the_command_records_the_sound(
    tmp_path: Path, flags: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_source(tmp_path / "source.mp4", "aac")
    monkeypatch.setattr("fastsam_trt.sources.source.Source.sound", source)
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "out.mp4"
    arguments = ["run", "--video", os.fspath(source), "--model", "colours", "--save", os.fspath(out), *flags]
    assert main(arguments) == 0, capsys.readouterr().err
    with av.open(str(out)) as container:
        assert bool(container.streams.audio) == (not flags)
