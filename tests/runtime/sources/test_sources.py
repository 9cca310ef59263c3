"""Sources: every kind by name, every frame in order, and clear errors."""

from __future__ import annotations

import functools
import http.server
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from fastsam_trt import open_source
from fastsam_trt.errors import OptionError, SourceNotFoundError, SourceUnreadableError, TruncatedSourceError
from fastsam_trt.frames.image import as_bgr, read_image
from fastsam_trt.sources import Frame, SourceHealth

Write = Callable[[Path, list[np.ndarray]], Path]


def _numbered(n: int) -> list[np.ndarray]:
    """Frames that show their number as six black or white blocks."""
    bits = (np.arange(n)[:, None] >> np.arange(6)) & 1
    return [np.kron(row, np.full((32, 16), 255)).astype(np.uint8)[..., None].repeat(3, axis=2) for row in bits]


def _numbers(frames: list) -> list[int]:
    blocks = np.stack([frame.image[16, 8::16, 0] > 128 for frame in frames])
    return (blocks @ (1 << np.arange(6))).tolist()


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv"])
def test_a_video_gives_every_frame_in_order(tmp_path: Path, write_video: Write, suffix: str) -> None:
    path = write_video(tmp_path / f"clip{suffix}", _numbered(40))
    with open_source(path) as source:
        assert (source.kind, source.fps) == ("video", 25)
        frames = list(source)
    assert [frame.index for frame in frames] == list(range(40)) == _numbers(frames)
    assert frames[0].source == str(path)


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv"])
def test_video_frames_have_media_and_capture_times(tmp_path: Path, write_video: Write, suffix: str) -> None:
    path = write_video(tmp_path / f"clip{suffix}", _numbered(40))
    before_s = time.perf_counter()
    for stride in (1, 3):
        with open_source(path, vid_stride=stride) as source:
            frames = list(source)
        assert [frame.timestamp_s for frame in frames] == pytest.approx([i / 25 for i in range(0, 40, stride)])
    read_s = [frame.captured_s for frame in frames]
    assert before_s < read_s[0]
    assert read_s == sorted(read_s)
    assert read_s[-1] < time.perf_counter()
    with open_source("demo", vid_stride=50) as source:
        assert [frame.timestamp_s for frame in source] == pytest.approx([i / 30 for i in range(0, 300, 50)])


def test_images_have_no_media_time(tmp_path: Path, write_video: Write) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((20, 30, 3), np.uint8))
    write_video(tmp_path / "b.avi", _numbered(3))
    with open_source(tmp_path) as source:
        assert [frame.timestamp_s for frame in source] == [None, 0, pytest.approx(0.04), pytest.approx(0.08)]


def test_stop_ends_every_kind_between_frames_without_an_error(tmp_path: Path, write_video: Write) -> None:
    video = write_video(tmp_path / "b.avi", _numbered(20))
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((20, 30, 3), np.uint8))
    (tmp_path / "c.png").write_bytes(b"")
    for name, after in ((video, 3), (tmp_path, 1), (tmp_path, 4), ("demo", 2)):
        with open_source(name) as source:
            assert source.health == SourceHealth()
            seen = 0
            for _ in source:
                seen += 1
                if seen == after:
                    source.stop()
            assert seen == after
            assert list(source) == []


def test_sources_and_the_demo_import_in_any_order() -> None:
    for modules in (
        ["fastsam_trt.sources.demo_video", "fastsam_trt.sources"],
        ["fastsam_trt.sources.live.live_source"],
    ):
        code = "\n".join(f"import {module}" for module in modules)
        subprocess.run([sys.executable, "-c", code], check=True)


def test_a_stride_takes_every_nth_frame(tmp_path: Path, write_video: Write) -> None:
    path = write_video(tmp_path / "clip.avi", _numbered(20))
    with open_source(path, vid_stride=6) as source:
        assert source.frames == 4
        assert source.fps == pytest.approx(25 / 6)
        frames = list(source)
    assert [frame.index for frame in frames] == [0, 6, 12, 18] == _numbers(frames)
    with pytest.raises(OptionError, match="vid_stride"):
        open_source(path, vid_stride=0)


def test_images_folders_and_globs(tmp_path: Path, write_video: Write) -> None:
    for i, name in enumerate(("b.png", "a.jpg", "c.webp")):
        cv2.imwrite(str(tmp_path / name), np.full((20, 30, 3), 60 * i, np.uint8))
    (tmp_path / "notes.txt").write_text("no image")
    with open_source(tmp_path) as source:
        assert (source.kind, source.frames) == ("images", 3)
        assert [Path(frame.source).name for frame in source] == ["a.jpg", "b.png", "c.webp"]
    with open_source(str(tmp_path / "*.png")) as source:
        assert [frame.index for frame in source] == [0]
    with open_source(tmp_path / "a.jpg") as source:
        (frame,) = source
        assert frame.image.shape == (20, 30, 3)
    write_video(tmp_path / "d.avi", _numbered(3))
    with open_source(tmp_path) as source:
        assert source.frames is None
        assert [Path(frame.source).name for frame in source][2:] == ["c.webp", "d.avi", "d.avi", "d.avi"]


def test_a_name_with_glob_characters_is_a_file_first(tmp_path: Path) -> None:
    path = tmp_path / "shot[1].png"
    cv2.imwrite(str(path), np.zeros((4, 4, 3), np.uint8))
    with open_source(path) as source:
        assert len(list(source)) == 1


def test_a_stream_address_is_opened(tmp_path: Path, write_video: Write) -> None:
    write_video(tmp_path / "clip.avi", _numbered(10))
    handler = functools.partial(_QuietHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with open_source(f"http://127.0.0.1:{server.server_port}/clip.avi") as source:
                assert source.kind == "live"
                assert _numbers(list(source)) == list(range(10))
        finally:
            server.shutdown()
            thread.join()


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.mark.parametrize("name", ["nowhere.mp4", "no/such/folder", "*.nothing", "", "cam"])
def test_a_missing_source_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceNotFoundError) as caught:
        open_source(name)
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize("name", ["cam97", "97", "/dev/video97", 97, "tcp://127.0.0.1:9", "http://127.0.0.1:9/x.mp4"])
def test_a_camera_or_stream_that_does_not_answer(name: str | int) -> None:
    with pytest.raises(SourceNotFoundError, match="a camera or stream that answers"):
        open_source(name)


@pytest.mark.parametrize("name", ["empty.mp4", "text.mp4", "text.txt", "empty.png", "text.png"])
def test_other_files_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"" if "empty" in name else b"this is no video, and no image either\n" * 40)
    with pytest.raises(SourceUnreadableError) as caught, open_source(path) as source:
        list(source)
    assert str(path) in str(caught.value)


def test_a_truncated_video_gives_its_readable_frames_then_an_error(tmp_path: Path, write_video: Write) -> None:
    whole = write_video(
        tmp_path / "whole.avi", [np.random.default_rng(i).integers(0, 256, (48, 64, 3), np.uint8) for i in range(60)]
    )
    cut = tmp_path / "cut.avi"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    frames = []
    with (
        pytest.raises(TruncatedSourceError, match="cut short: expected 60 frames, found the end after") as caught,
        open_source(cut) as source,
    ):
        for frame in source:
            frames.append(frame)
    assert 20 < len(frames) < 40
    assert f"found the end after {len(frames)}" in str(caught.value)


def test_unreadable_files_in_a_folder_are_named_after_the_others(tmp_path: Path) -> None:
    for name in ("a.png", "c.png"):
        cv2.imwrite(str(tmp_path / name), np.zeros((4, 4, 3), np.uint8))
    (tmp_path / "b.png").write_bytes(b"")
    seen = []
    with (
        pytest.raises(SourceUnreadableError, match=r"1 of 3 files can't be read, the first: .*b\.png"),
        open_source(tmp_path) as source,
    ):
        for frame in source:
            seen.append(Path(frame.source).name)
    assert seen == ["a.png", "c.png"]


def _written(tmp_path: Path, image: np.ndarray, name: str = "x.png") -> Path:
    assert cv2.imwrite(str(tmp_path / name), image)
    return tmp_path / name


def test_image_files_of_every_kind_become_bgr(tmp_path: Path) -> None:
    bgr = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    np.testing.assert_array_equal(read_image(_written(tmp_path, bgr)), bgr)
    alpha = np.concatenate([bgr, np.full((6, 8, 1), 7, np.uint8)], axis=2)
    np.testing.assert_array_equal(read_image(_written(tmp_path, alpha)), bgr)
    grey = bgr[..., 0]
    np.testing.assert_array_equal(read_image(_written(tmp_path, grey)), np.stack([grey] * 3, axis=2))
    np.testing.assert_array_equal(read_image(_written(tmp_path, bgr.astype(np.uint16) * 257)), bgr)
    np.testing.assert_array_equal(
        read_image(_written(tmp_path, grey.astype(np.uint16) * 257, "x.tiff")), np.stack([grey] * 3, axis=2)
    )
    one = np.array([[[1, 2, 3]]], np.uint8)
    np.testing.assert_array_equal(read_image(_written(tmp_path, one)), one)


def test_images_of_other_depths_are_named(tmp_path: Path) -> None:
    path = _written(tmp_path, np.zeros((4, 4, 3), np.float32), "x.tiff")
    with pytest.raises(SourceUnreadableError, match="expected an image of 8 or 16 bits per channel, found float32"):
        read_image(path)


def test_broken_links_and_folders_named_like_videos(tmp_path: Path) -> None:
    _written(tmp_path, np.zeros((4, 4, 3), np.uint8), "b.png")
    (tmp_path / "a.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "c.mp4").mkdir()
    seen = []
    with pytest.raises(SourceUnreadableError, match="1 of 2 files can't be read"), open_source(tmp_path) as source:
        for frame in source:
            seen.append(Path(frame.source).name)
    assert seen == ["b.png"]


def test_sixteen_bits_are_rounded_over_the_whole_range() -> None:
    levels = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    found = as_bgr(levels)[..., 0].ravel()
    np.testing.assert_array_equal(found, np.rint(np.arange(65536) / 257).astype(np.uint8))


def test_bgr_images_are_not_copied() -> None:
    frame = np.zeros((4, 4, 3), np.uint8)
    assert as_bgr(frame) is frame


def test_photos_are_turned_upright_by_their_exif(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    image = image.fromarray(np.zeros((20, 40, 3), np.uint8))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "side.jpg", exif=exif)
    assert read_image(tmp_path / "side.jpg").shape == (40, 20, 3)


@pytest.mark.parametrize(("vid_stride", "continuous"), [(1, True), (3, True), (10, False)])
def test_frames_far_apart_are_not_tracked(vid_stride: int, continuous: bool) -> None:
    with open_source("demo", vid_stride=vid_stride) as source:
        assert source.continuous is continuous


def test_images_are_not_tracked(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((8, 8, 3), np.uint8))
    with open_source(tmp_path) as source:
        assert not source.continuous


def test_picture_is_the_deprecated_name_of_a_frames_image() -> None:
    frame = Frame(np.zeros((2, 2, 3), np.uint8), 0, "made")
    with pytest.warns(DeprecationWarning, match=r"Frame\.picture is now Frame\.image") as caught:
        assert frame.picture is frame.image
    assert caught[0].filename == __file__
