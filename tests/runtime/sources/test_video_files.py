"""Video files: every frame to the real end, over damage, upright, with its timestamp; clear refusals."""

from __future__ import annotations

import json
import logging
import math
import os
import random
import subprocess
import sys
import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from fastsam_trt import open_source
from fastsam_trt.cli import main
from fastsam_trt.errors import SourceUnreadableError, TruncatedSourceError
from fastsam_trt.sources import SourceHealth
from fastsam_trt.sources.source import Source
from fastsam_trt.sources.video.container import VideoContainer
from fastsam_trt.sources.video.decoder import Decoder
from fastsam_trt.sources.video.lost_frames import LostFrames
from fastsam_trt.sources.video.video_file import VideoFile
from support.made_videos import SIZE, count_decodable, damage, number_of, numbered, remux, write_made
from support.typed import present

SUFFIXES = (".mp4", ".mkv", ".avi", ".ts")


@pytest.fixture(scope="module")
def long_videos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """24 seconds of H.264 with B-frames in each container."""
    folder, images = tmp_path_factory.mktemp("long"), [numbered(number) for number in range(600)]
    options = {"preset": "superfast", "bf": "2", "g": "50", "crf": "28"}
    return {suffix: write_made(folder / f"long{suffix}", images, options=options) for suffix in SUFFIXES}


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fifty frames, two seconds, with three seconds of sound."""
    path = tmp_path_factory.mktemp("short") / "short.mp4"
    return write_made(path, map(numbered, range(50)), options={"g": "25"}, sound_s=3)


def _read(path: Path, vid_stride: int = 1) -> tuple[list, SourceHealth]:
    with open_source(path, vid_stride=vid_stride) as source:
        return list(source), source.health


def _indices(frames: list) -> list[int]:
    return [frame.index for frame in frames]


def _numbers(frames: list) -> list[int]:
    return [number_of(frame.image) for frame in frames]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_intact_files_give_every_frame_with_its_timestamp(long_videos: dict[str, Path], suffix: str) -> None:
    with open_source(long_videos[suffix]) as source:
        assert (source.fps, source.sound) == (25, None)
        assert source.frames == pytest.approx(600, abs=2)
        frames = list(source)
        assert source.health == SourceHealth()
    assert _indices(frames) == _numbers(frames) == list(range(600))
    times_s = np.array([present(frame.timestamp_s) for frame in frames])
    assert 0 <= times_s[0] <= 0.09
    assert (times_s - times_s[0]).tolist() == pytest.approx([i / 25 for i in range(600)], abs=2e-3)
    assert [frame.media_s for frame in frames] == [frame.timestamp_s for frame in frames]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_damage_does_not_end_a_video(tmp_path: Path, long_videos: dict[str, Path], suffix: str, seed: int) -> None:
    path = tmp_path / f"damaged{suffix}"
    path.write_bytes(long_videos[suffix].read_bytes())
    damage(path, seed)
    frames, health = _read(path)
    assert len(frames) >= 0.97 * count_decodable(path)
    assert health.lost_frames + health.damaged_frames > 0
    assert frames[-1].timestamp_s == pytest.approx(24, abs=0.3)
    places = [frame.timestamp_s for frame in frames]
    assert places == sorted(places)
    assert _indices(frames) == sorted(set(_indices(frames)))
    if suffix == ".avi":  # by its index: its packets have no times
        assert all(abs(frame.timestamp_s - number_of(frame.image) / 25) < 0.09 for frame in frames[-200:])
    if suffix in {".mp4", ".mkv"}:  # whose packets, or the bytes between them, tell exactly what is missing
        assert len(frames) + health.lost_frames == 600
        assert [(frame.index, number_of(frame.image)) for frame in frames[-200:]] == [(i, i) for i in range(400, 600)]
        assert all(abs(frame.timestamp_s - frame.index / 25) < 0.09 for frame in frames)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_damage_at_the_end_costs_no_frames_that_threads_still_hold(
    tmp_path: Path, long_videos: dict[str, Path], suffix: str
) -> None:
    path = tmp_path / f"end{suffix}"
    found = []
    for threads in (1, 16):
        path.write_bytes(long_videos[suffix].read_bytes())
        damage(path, begin=0.91)
        with VideoContainer("end", str(path)) as media:
            decoder = Decoder(media.stream, threads=threads)
            frames = [
                decoded.index
                for packet in media.packets(decoder.report_gap, decoder.report_error)
                for decoded in decoder.decode(packet)
            ]
            found.append(frames + [decoded.index for decoded in decoder.flush()])
    one, many = found
    assert one[-1] == many[-1]
    assert len(many) >= len(one) - 2


def test_audio_that_is_longer_than_the_video(short: Path) -> None:
    frames, health = _read(short)
    assert _numbers(frames) == list(range(50))
    assert health == SourceHealth()
    with open_source(short) as source:
        assert source.sound == short


def test_a_trimmed_file_gives_what_its_edit_list_shows(tmp_path: Path, short: Path) -> None:
    data = bytearray(remux(short, tmp_path / "trimmed.mp4").read_bytes())
    at = data.index(b"elst")  # version and flags, count, then duration and begin of the first entry
    begin = int.from_bytes(data[at + 16 : at + 20])
    with av.open(str(short)) as container:
        ticks = present(container.streams.video[0].time_base).denominator
    data[at + 16 : at + 20] = (begin + ticks // 25 * 10).to_bytes(4)
    (tmp_path / "trimmed.mp4").write_bytes(data)
    frames, health = _read(tmp_path / "trimmed.mp4")
    assert _numbers(frames) == list(range(10, 50))
    assert _indices(frames) == list(range(40))
    assert [frame.timestamp_s for frame in frames] == pytest.approx([i / 25 for i in range(40)], abs=1e-3)
    assert health == SourceHealth()


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_frames_of_a_variable_rate_keep_their_times(tmp_path: Path, suffix: str) -> None:
    times = [0, 40, 80, 200, 240, 1240, 1280, 1290, 1340, 4000, 4040]
    path = write_made(tmp_path / f"v{suffix}", map(numbered, range(11)), times=times)
    frames, health = _read(path)
    assert _indices(frames) == _numbers(frames) == list(range(11))
    assert [frame.media_s - frames[0].media_s for frame in frames] == pytest.approx(np.divide(times, 1e3), abs=2e-3)
    assert health == SourceHealth()


def test_long_pauses(tmp_path: Path) -> None:
    for suffix in (".mp4", ".mkv"):
        path = write_made(tmp_path / f"p{suffix}", map(numbered, range(4)), times=[0, 40, 60_040, 60_080])
        assert [frame.timestamp_s for frame in _read(path)[0]] == pytest.approx([0, 0.04, 60.04, 60.08], abs=2e-3)


def test_unknown_durations(tmp_path: Path, short: Path) -> None:
    fragmented = remux(short, tmp_path / "f.mp4", {"movflags": "frag_keyframe+empty_moov"})
    streamed = remux(short, tmp_path / "l.mkv", {"live": "1"})
    for path in (fragmented, streamed):
        frames, health = _read(path)
        assert _numbers(frames) == list(range(50))
        assert health == SourceHealth()


def test_raw_streams_have_times_by_their_rate(tmp_path: Path) -> None:
    path = write_made(tmp_path / "raw.h264", map(numbered, range(20)))
    frames, _ = _read(path)
    assert _numbers(frames) == list(range(20))
    assert [frame.timestamp_s for frame in frames] == pytest.approx([i / 25 for i in range(20)])


def test_concatenated_streams(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one = write_made(tmp_path / "one.ts", map(numbered, range(60)))
    two = write_made(tmp_path / "two.ts", (numbered(i, (96, 240)) for i in range(60, 80)))
    path = tmp_path / "both.ts"
    path.write_bytes(one.read_bytes() + two.read_bytes() + one.read_bytes())
    with caplog.at_level(logging.WARNING):
        frames, health = _read(path)
    assert [frame.image.shape[:2] for frame in frames] == [SIZE] * 60 + [(96, 240)] * 20 + [SIZE] * 60
    assert _numbers(frames) == [*range(80), *range(60)]
    assert _indices(frames) == list(range(140))
    assert [frame.media_s for frame in frames] == pytest.approx([i / 25 for i in range(140)], abs=1e-3)
    assert (health.lost_frames, health.damaged_frames) == (0, 0)
    assert [record.getMessage().split(" continues ")[1] for record in caplog.records] == [
        "with frames of 240 x 96 px, after 160 x 64 px",
        "with frames of 160 x 64 px, after 240 x 96 px",
    ]


def _cut(path: Path, to: Path, part: float) -> Path:
    data = path.read_bytes()
    to.write_bytes(data[: int(len(data) * part) + 77])
    return to


def _broken_off(tmp_path: Path, long_videos: dict[str, Path]) -> dict[str, Path]:
    long = long_videos[".mp4"]
    return {
        "index first": remux(long, tmp_path / "index.mp4", {"movflags": "faststart"}),
        "fragments": remux(long, tmp_path / "fragments.mp4", {"movflags": "frag_keyframe+empty_moov"}),
        "streamed": remux(long, tmp_path / "streamed.mkv", {"live": "1"}),
        **{suffix: path for suffix, path in long_videos.items() if suffix != ".mp4"},
    }


def test_truncated_files(tmp_path: Path, long_videos: dict[str, Path]) -> None:
    for kind, path in _broken_off(tmp_path, long_videos).items():
        assert len(_read(path)[0]) == 600, kind
        cut, frames = _cut(path, tmp_path / f"cut{path.suffix}", 0.6), []
        with pytest.raises(TruncatedSourceError, match="is cut short: expected") as caught, open_source(cut) as source:
            for frame in source:
                frames.append(frame)
        assert 250 < len(frames) < 450, kind
        assert f"found the end after {len(frames)}" in str(caught.value)
        assert ("expected 600 frames" in str(caught.value)) == (kind in {"index first", ".avi"}), kind
        assert _numbers(frames)[:200] == list(range(200))


def test_a_file_with_trailing_data_is_intact(tmp_path: Path, short: Path) -> None:
    path = tmp_path / "more.mp4"
    path.write_bytes(short.read_bytes() + random.Random(0).randbytes(5000))
    assert len(_read(path)[0]) == 50


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_frames_are_turned_upright(tmp_path: Path, degrees: int, mirrored: bool) -> None:
    image = np.zeros((48, 64, 3), np.uint8)
    image[:24, :32], image[:24, 32:], image[24:, :32] = (255, 0, 0), (0, 255, 0), (0, 0, 255)

    def turn(stream: av.VideoStream) -> None:
        stream.set_display_rotation(degrees, hflip=mirrored)
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)

    path = write_made(tmp_path / "turned.mov", [image] * 3, prepare=turn)
    expected = np.rot90(image, degrees // 90)
    expected = expected[:, ::-1] if mirrored else expected
    frames, _ = _read(path)
    assert len(frames) == 3
    for frame in frames:
        assert frame.image.flags.c_contiguous
        assert frame.image.shape == expected.shape
        assert np.abs(frame.image[4::8, 4::8].astype(int) - expected[4::8, 4::8]).max() < 30
        assert frame.pixel_aspect == pytest.approx(3 / 4 if degrees % 180 else 4 / 3)


def test_pixels_are_square_by_default(short: Path) -> None:
    assert _read(short)[0][0].pixel_aspect == 1.0


@pytest.mark.parametrize(
    ("codec", "suffix", "pix_fmt", "space", "whole"),
    [
        ("libx264", ".mp4", "yuv420p", "bt709", False),
        ("libx264", ".mp4", "yuv420p", "smpte170m", False),
        ("libx264", ".mp4", "yuv420p", "bt709", True),
        ("libx264", ".mkv", "yuv420p10le", "bt709", False),
        ("libx264", ".mkv", "yuv444p", "bt709", False),
        ("libx264", ".mp4", "gray", None, False),
        ("ffv1", ".mkv", "bgra", None, False),
        ("prores_ks", ".mov", "yuva444p10le", "bt709", False),
        ("libvpx-vp9", ".webm", "yuva420p", "smpte170m", False),
        ("mjpeg", ".avi", "yuvj420p", None, False),
        ("gif", ".gif", "rgb8", None, False),
    ],
)
def test_colours_follow_matrix_and_range(
    tmp_path: Path, codec: str, suffix: str, pix_fmt: str, space: str | None, whole: bool
) -> None:
    bgr = np.array(
        [[[40, 80, 200], [200, 60, 30], [60, 190, 90], [255, 255, 255], [0, 0, 0], [128, 128, 128]]], np.uint8
    )
    if pix_fmt == "gray":
        bgr = bgr.mean(axis=2, keepdims=True).astype(np.uint8).repeat(3, axis=2)
    image = np.kron(bgr, np.ones((32, 32, 1), np.uint8))
    spaces, ranges = {"bt709": 1, "smpte170m": 6}, {False: 1, True: 2}
    with av.open(str(tmp_path / f"c{suffix}"), "w") as container:
        stream: Any = container.add_stream(codec, rate=25)
        stream.height, stream.width, stream.pix_fmt = *image.shape[:2], pix_fmt
        frame = av.VideoFrame.from_ndarray(image, format="bgr24")
        if space is not None:
            stream.codec_context.colorspace, stream.codec_context.color_range = spaces[space], ranges[whole]
            frame = frame.reformat(
                format=pix_fmt, dst_colorspace=1 if space == "bt709" else 5, dst_color_range=ranges[whole]
            )
            frame.colorspace, frame.color_range = spaces[space], ranges[whole]
        for _ in range(3):
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    found = _read(tmp_path / f"c{suffix}")[0][0].image
    tolerance = 60 if pix_fmt == "rgb8" else 8
    assert np.abs(found[16, 16::32].astype(int) - bgr[0]).max() <= tolerance


def test_a_stride_continues_after_lost_frames(tmp_path: Path, long_videos: dict[str, Path]) -> None:
    path = tmp_path / "d.mkv"
    path.write_bytes(long_videos[".mkv"].read_bytes())
    frames, health = _read(damage(path), vid_stride=10)
    assert health.lost_frames > 20
    whole = [index for index in _indices(frames) if index % 10 == 0]
    assert len(frames) - len(whole) <= 1  # the one behind the gap
    assert _numbers(frames)[-10:] == _indices(frames)[-10:] == list(range(500, 600, 10))


def _tagged(short: Path, tmp_path: Path, tag: bytes) -> Path:
    path = tmp_path / f"{tag.decode()}.mp4"
    path.write_bytes(short.read_bytes().replace(b"avc1", tag))
    return path


def _cover(tmp_path: Path, suffix: str) -> Path:
    path = tmp_path / f"cover{suffix}"
    png = cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    with av.open(str(path), "w") as container:
        sound = container.add_stream("mp3" if suffix == ".mp3" else "aac", rate=44100)
        image = container.add_stream("png", rate=1)
        image.width, image.height, image.pix_fmt = 8, 8, "rgb24"
        image.disposition = av.stream.Disposition.attached_pic
        packet = av.Packet(png)
        packet.stream, packet.pts, packet.dts, packet.time_base = image, 0, 0, Fraction(1, 1)
        container.mux(packet)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        container.mux(sound.encode(frame))
        container.mux(sound.encode())
    return path


def _sound_alone(tmp_path: Path) -> Path:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        container.mux(sound.encode(frame))
        container.mux(sound.encode())
    return path


def _no_frames(tmp_path: Path, suffix: str) -> Path:
    path = tmp_path / f"none{suffix}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.start_encoding()
    return path


def _bytes(tmp_path: Path, name: str, data: bytes) -> Path:
    (tmp_path / name).write_bytes(data)
    return tmp_path / name


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda short, tmp: _sound_alone(tmp), "found audio (aac)"),
        (lambda short, tmp: _cover(tmp, ".mp3"), "found audio (MP3)"),
        (lambda short, tmp: _cover(tmp, ".mp4"), "found a cover image and aac"),
        (lambda short, tmp: _tagged(short, tmp, b"encv"), "found an encrypted video"),
        (lambda short, tmp: _tagged(short, tmp, b"zz9z"), "found the codec 'zz9z'"),
        (
            lambda short, tmp: _bytes(tmp, "m.mp4", short.read_bytes()[: short.read_bytes().index(b"moov") + 300]),
            "index (moov) is missing or cut off",
        ),
        (
            lambda short, tmp: _bytes(tmp, "n.mp4", short.read_bytes()[: short.read_bytes().index(b"moov") - 4]),
            "index (moov) is missing or cut off",
        ),
        (lambda short, tmp: _bytes(tmp, "g.mp4", random.Random(1).randbytes(200_000)), "that FFmpeg can't open"),
        (lambda short, tmp: _bytes(tmp, "z.mp4", bytes(50_000)), "that FFmpeg can't open"),
        (lambda short, tmp: _bytes(tmp, "e.mp4", b""), "found an empty file"),
        (lambda short, tmp: _no_frames(tmp, ".mp4"), "expected a video or image, found no"),
        (lambda short, tmp: _no_frames(tmp, ".avi"), "expected a video or image, found no"),
        (lambda short, tmp: _bytes(tmp, "l.mp4", b"#EXTM3U\n#EXTINF:4,\nx.ts\n#EXT-X-ENDLIST\n"), "found a playlist"),
        (lambda short, tmp: _bytes(tmp, "l.m3u8", b"#EXTM3U\n#EXTINF:4,\nx.ts\n#EXT-X-ENDLIST\n"), "found a playlist"),
        (
            lambda short, tmp: _bytes(tmp, "c.mp4", f"ffconcat version 1.0\nfile '{short.name}'\n".encode()),
            "found a playlist",
        ),
    ],
)
def test_files_that_are_not_videos_are_refused_in_one_line(
    tmp_path: Path, short: Path, capfd: pytest.CaptureFixture[str], make: object, found: str
) -> None:
    path = make(short, tmp_path)  # type: ignore[operator]
    with pytest.raises(SourceUnreadableError) as caught, open_source(path) as source:
        list(source)
    assert found in str(caught.value)
    assert repr(str(path)) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_playlists_do_not_read_other_files(tmp_path: Path, short: Path) -> None:
    remux(short, tmp_path / "part.mp4")
    for text in ("ffconcat version 1.0\nfile part.mp4\n", "#EXTM3U\n#EXTINF:2,\npart.mp4\n#EXT-X-ENDLIST\n"):
        path = _bytes(tmp_path, "list.m3u8", text.encode())
        with pytest.raises(SourceUnreadableError, match="playlist"), VideoFile("list", path) as video:
            list(video)


def test_a_cover_image_beside_a_video_is_ignored(tmp_path: Path, short: Path) -> None:
    path = tmp_path / "both.mp4"
    png = cv2.imencode(".png", np.zeros((800, 800, 3), np.uint8))[1].tobytes()
    with av.open(str(short)) as old, av.open(str(path), "w") as new:
        image = new.add_stream("png", rate=1)
        image.width, image.height, image.pix_fmt = 800, 800, "rgb24"
        image.disposition = av.stream.Disposition.attached_pic
        stream = new.add_stream_from_template(old.streams.video[0])
        packet = av.Packet(png)
        packet.stream, packet.pts, packet.dts, packet.time_base = image, 0, 0, Fraction(1, 1)
        new.mux(packet)
        for each in old.demux(video=0):
            if each.dts is not None:
                each.stream = stream
                new.mux(each)
    assert _numbers(_read(path)[0]) == list(range(50))


@pytest.mark.parametrize(
    "name",
    ["concat:a|b.mp4", "file:x.mp4", "a:b.mp4", "data:,x.mp4", "http:x.mp4", "-i.mp4", "%d.mp4", "x%03d.mp4", "none",
     "subfile,,start,0,end,0,,:x.mp4", os.fsdecode(b"\xff.mp4")],
)  # fmt: skip
def test_names_are_files_and_not_protocols(
    tmp_path: Path, short: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        Path(name).write_bytes(short.read_bytes())
    except OSError:
        pytest.skip("this file system has no such names")
    assert _numbers(_read(Path(name))[0]) == list(range(50))


def test_metadata_may_have_any_encoding(tmp_path: Path) -> None:
    path = write_made(tmp_path / "t.avi", map(numbered, range(3)), codec="mjpeg", pix_fmt="yuvj420p")
    data = path.read_bytes()
    assert data.count(b"Lavf") == 1
    path.write_bytes(data.replace(b"Lavf", b"La\xff\xfe"))
    assert len(_read(path)[0]) == 3


def test_every_iteration_begins_at_the_start(short: Path) -> None:
    with open_source(short) as source:
        first = next(iter(source))
        assert first.index == 0
        for _ in range(2):
            assert _numbers(list(source)) == list(range(50))
    assert list(source) == []


def test_closing_while_another_thread_reads(short: Path) -> None:
    for _ in range(20):
        source = open_source(short)
        begun, errors = threading.Event(), []

        def read(source: Source = source, begun: threading.Event = begun, errors: list = errors) -> None:
            try:
                for _ in source:
                    begun.set()
            except Exception as error:  # noqa: BLE001
                errors.append(error)

        thread = threading.Thread(target=read)
        thread.start()
        assert begun.wait(60)
        source.close()
        thread.join(60)
        assert not thread.is_alive()
        assert errors == []


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
def test_files_are_released(tmp_path: Path, short: Path) -> None:
    garbage = _bytes(tmp_path, "g.mp4", bytes(5000))
    before = sum(1 for _ in Path("/proc/self/fd").iterdir())
    for number in range(200):
        with open_source(short) as source:
            if number % 4 == 0:
                next(iter(source))
        with pytest.raises(SourceUnreadableError):
            open_source(garbage)
    assert sum(1 for _ in Path("/proc/self/fd").iterdir()) <= before + 1


def test_frames_are_freed_without_the_garbage_collector(tmp_path: Path) -> None:
    path = write_made(
        tmp_path / "big.mp4", [numbered(i, (720, 1280)) for i in range(30)], options={"preset": "ultrafast"}
    )
    code = f"""
import gc, resource, sys
gc.disable()
from fastsam_trt.sources.video.video_file import VideoFile
def read():
    with VideoFile("x", {str(path)!r}) as video:
        return sum(1 for _ in video)
read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for _ in range(4):
    assert read() == 30
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    unit = 1024 if sys.platform == "darwin" else 1
    assert int(done.stdout) / unit < 150_000  # 120 frames that stay would be 330 MB or more


def test_a_failing_disk_is_an_error(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = []
    video = VideoFile("clip", short)
    with video:
        demux = present(video._media)._demux

        def fail() -> object:
            for number, packet in enumerate(demux()):
                if number == 30:
                    raise OSError(5, "Input/output error")
                yield packet

        monkeypatch.setattr(video._media, "_demux", fail)
        with pytest.raises(SourceUnreadableError, match="can't be read on"):
            frames.extend(video)
    assert frames


def test_a_demuxer_without_progress_ends(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = VideoFile("clip", short)
    with video:
        demux, calls = present(video._media)._demux, []

        def fail() -> object:
            calls.append(1)
            if len(calls) == 1:
                for number, packet in enumerate(demux()):
                    if number == 30:
                        break
                    yield packet
            raise av.error.InvalidDataError(1, "made")

        monkeypatch.setattr(video._media, "_demux", fail)
        with pytest.raises(TruncatedSourceError):
            list(video)
    assert len(calls) < 100
    assert video.health.stream_errors == len(calls)


def test_a_folder_sums_the_damage_of_its_videos(tmp_path: Path, long_videos: dict[str, Path]) -> None:
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(long_videos[".mp4"].read_bytes())
        damage(tmp_path / name)
    _, one = _read(tmp_path / "a.mp4")
    with open_source(tmp_path, vid_stride=20) as source:
        list(source)
        assert one.lost_frames > 0
        assert source.health.lost_frames == 2 * one.lost_frames


def test_a_run_over_damage_reports_lost_frames(
    tmp_path: Path, long_videos: dict[str, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    path, stats = tmp_path / "damaged.mp4", tmp_path / "stats.json"
    path.write_bytes(long_videos[".mp4"].read_bytes())
    damage(path)
    _, health = _read(path)
    argv = ["run", "--video", str(path), "--model", "colours", "--backend", "onnxruntime", "--stats", str(stats)]
    code = main.main([*argv, "--vid-stride", "20"])
    printed = capfd.readouterr()
    assert code == 0, printed.err
    assert f"{health.lost_frames} frames lost, " in printed.out + printed.err
    document = json.loads(stats.read_text())
    assert document["health"]["lost_frames"] == health.lost_frames > 0
    assert {"damaged_frames", "stream_errors"} <= document["health"].keys()
    assert math.isclose(document["frames"], 30, abs_tol=2)


def test_the_shared_video(shared: Path) -> None:
    frames, health = _read(shared / "videos" / "bikes.mp4")
    assert _indices(frames) == list(range(250))
    assert frames[0].image.shape == (272, 640, 3)
    assert health == SourceHealth()
    narrow, _ = _read(shared / "videos" / "carphone_pristine.mp4", vid_stride=40)
    assert narrow[0].pixel_aspect == pytest.approx(128 / 117)


def test_a_packet_with_a_damaged_timestamp_loses_no_other_frame() -> None:
    expected = LostFrames(25)
    lost = 0
    for index in range(100):
        time_s = index / 25
        if index == 40:
            expected.report_gap()
            expected.add(8438.97, 8438.97, key=False)
            continue
        expected.add(time_s, time_s, key=index == 0)
        lost += expected.take(time_s)
    assert lost + expected.take(math.inf) <= 2
