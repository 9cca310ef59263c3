"""Folders, globs and multi-page files: skipped files are counted, and one bad file does not end a run."""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from fastsam_trt import Pipeline, open_source
from fastsam_trt.errors import (
    FilesFailedError,
    PromptError,
    SourceNotFoundError,
    SourceUnreadableError,
    TruncatedSourceError,
)
from fastsam_trt.sources.files.source_file import inspect_file
from fastsam_trt.streaming import Flow
from support.colour_models import scene

Write = Callable[[Path, list[np.ndarray]], Path]


def _save(folder: Path, *names: str, level: int = 99) -> None:
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(cv2.imencode(".png", np.full((8, 12, 3), level, np.uint8))[1].tobytes())


def _names(source: str | Path) -> list[str]:
    with open_source(source) as opened:
        return [Path(frame.source).name for frame in opened]


def test_skipped_files_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    _save(
        folder, "b.png", "no suffix", "photo.txt", ".DS_Store", "._b.png", ".thumbs/b.png", "below/c.png", "below/d.png"
    )
    for name in ("notes.txt", "README", "list.json", "more.TXT", "sums.mod", "code.ts", "sound.mp3"):
        (folder / name).write_text("no image")
    os.mkfifo(folder / "pipe.jpg")
    (folder / "empty").mkdir()
    with caplog.at_level(logging.WARNING):
        assert _names(folder) == ["b.png", "no suffix", "photo.txt"]
    (line,) = caplog.messages
    assert line.startswith(f"source {str(folder)!r}: skipped 8 files that are not images or videos: 2 .txt, ")
    for part in (
        "1 .json",
        "1 without a suffix",
        "1 .mod",
        "1 .jpg",
        "2 images or videos in a subfolder",
        "photos/**/*",
    ):
        assert part in line
    caplog.clear()
    assert _names(str(folder / "**" / "*.png")) == ["b.png", "c.png", "d.png"]
    assert not caplog.messages
    with pytest.raises(SourceNotFoundError, match=r"found 1 file that is not an image or video: 1 \.json"):
        open_source(str(folder / "*.json"))


def test_a_folder_of_media_alone_logs_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _save(tmp_path / "p", "a.png", ".hidden")
    with caplog.at_level(logging.DEBUG):
        assert _names(tmp_path / "p") == ["a.png"]
    assert not caplog.messages


def test_natural_order(tmp_path: Path) -> None:
    names = ["F1.png", "f2.png", "f2b.png", "f10.png", "f010.png", "g.png", "é1.png", "9.png", "10.png"]
    _save(tmp_path / "p", *names)
    wanted = ["9.png", "10.png", "F1.png", "f2.png", "f2b.png", "f010.png", "f10.png", "g.png", "é1.png"]
    assert _names(tmp_path / "p") == wanted
    assert _names(str(tmp_path / "p" / "*.png")) == wanted
    for name in ("a10/2.png", "a10/10.png", "a9/1.png"):
        _save(tmp_path / "p", name)
    assert _names(str(tmp_path / "p" / "**" / "*[0-9].png"))[2:5] == ["1.png", "2.png", "10.png"]


@pytest.mark.parametrize(
    "suffix", [".mts", ".M2TS", ".mod", ".tod", ".vob", ".3gp", ".divx", ".f4v", ".xyz", "", ".jpg"]
)
def test_videos_are_detected_whatever_their_name(tmp_path: Path, write_video: Write, suffix: str) -> None:
    folder = tmp_path / "camera"
    folder.mkdir()
    frames = [np.full((32, 32, 3), 80 * i, np.uint8) for i in range(3)]
    write_video(folder / "clip.avi", frames).rename(folder / f"clip{suffix}")
    with open_source(folder) as source:
        assert source.frames is None
        assert [frame.index for frame in source] == [0, 1, 2]
    with open_source(folder / f"clip{suffix}") as source:
        assert source.kind == "video"
        assert len(list(source)) == 3


@pytest.mark.parametrize("name", ["text.mp4", "page.nfo", "text", "doc.mp4", "sound.mkv"])
def test_files_that_are_not_videos_are_named(tmp_path: Path, name: str) -> None:
    start = {"doc.mp4": b"%PDF-1.7\n", "sound.mkv": b"fLaC\0\0"}.get(name, b"a text of many words\n")
    (tmp_path / name).write_bytes(start * 40)
    found = {"doc.mp4": "a PDF", "sound.mkv": r"audio \(FLAC\)"}.get(name, "text")
    with pytest.raises(SourceUnreadableError, match=f"expected a video or image, found {found}$"):
        open_source(tmp_path / name)


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "AVIF"])
def test_an_animated_image_is_a_video(tmp_path: Path, form: str) -> None:
    levels = (40, 120, 200, 80)
    first, *rest = [Image.fromarray(np.full((16, 24, 3), level, np.uint8)) for level in levels]
    path = tmp_path / "moving.jpg"
    first.save(path, form, save_all=True, append_images=rest, duration=[40, 80, 120, 200])
    with open_source(path) as source:
        assert (source.kind, source.frames, source.fps) == ("video", 4, pytest.approx(25))
        for _ in range(2):
            frames = list(source)
            assert [frame.media_s for frame in frames] == pytest.approx([0, 0.04, 0.12, 0.24], abs=0.011)
            found = [frame.image.mean() for frame in frames]
            np.testing.assert_allclose(found, levels, atol=4)
    with open_source(path, vid_stride=3) as source:
        assert [frame.index for frame in source] == [0, 3]
    path.write_bytes(path.read_bytes()[:-9])
    if form not in {"GIF", "PNG"}:  # none of whose frames can be found then
        with pytest.raises(SourceUnreadableError, match="cut short"), open_source(path) as source:
            list(source)
        return
    seen = []
    with pytest.raises(TruncatedSourceError), open_source(path) as source:
        seen.extend(frame.index for frame in source)
    assert seen[:3] == [0, 1, 2]


def test_an_animation_may_have_a_fallback_image(tmp_path: Path) -> None:
    images = [Image.fromarray(np.full((16, 24, 3), level, np.uint8)) for level in (255, 40, 120)]
    path = tmp_path / "x.png"
    images[0].save(path, save_all=True, append_images=images[1:], default_image=True)
    with open_source(path) as source:
        assert [int(frame.image[0, 0, 0]) for frame in source] == [40, 120]


def test_a_gif_of_one_frame_is_an_image(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((16, 24), np.uint8)).save(tmp_path / "still.gif")
    with open_source(tmp_path / "still.gif") as source:
        assert (source.kind, source.frames) == ("images", 1)
        assert len(list(source)) == 1


def _tiff(path: Path, *images: np.ndarray) -> Path:
    first, *rest = map(Image.fromarray, images)
    first.save(path, "TIFF", save_all=True, append_images=rest)
    return path


def test_every_page_of_a_tiff_is_an_image(tmp_path: Path) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    _save(folder, "a.png", "z.png")
    sizes = [(8, 12), (20, 10), (8, 12)]
    path = _tiff(folder / "scan.tif", *(np.full((*size, 3), 60 * i, np.uint8) for i, size in enumerate(sizes)))
    with open_source(path) as source:
        assert (source.kind, source.frames) == ("images", 3)
        frames = list(source)
    assert [frame.image.shape[:2] for frame in frames] == sizes
    assert [Path(frame.source).name for frame in frames] == ["scan.tif#1", "scan.tif#2", "scan.tif#3"]
    with open_source(folder) as source:
        assert source.frames == 5
        assert [frame.index for frame in source] == [0, 1, 2, 3, 4]


def test_a_tiff_of_ten_thousand_pages(tmp_path: Path) -> None:
    """Each page is a directory and four pixels, written by hand for speed."""
    pages, parts, page_b = 10_000, [b"II*\0\x08\0\0\0"], 2 + 12 * 8 + 4 + 4
    for page in range(pages):
        at = 8 + page * page_b
        tags = ((256, 3, 1, 2), (257, 3, 1, 2), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, at + 102),
                (278, 3, 1, 2), (279, 4, 1, 4))  # fmt: skip
        entries = b"".join(
            np.array(tag, "<u4")[[0, 1]].astype("<u2").tobytes() + np.array(tag[2:], "<u4").tobytes() for tag in tags
        )
        next_at = (at + page_b) * (page < pages - 1)
        parts.append(b"\x08\0" + entries + np.array(next_at, "<u4").tobytes() + bytes([page % 251] * 4))
    (tmp_path / "many.tif").write_bytes(b"".join(parts))
    with open_source(tmp_path / "many.tif") as source:
        assert source.frames == pages
        first = list(itertools.islice(source, 300))
    assert [int(frame.image[0, 0, 0]) for frame in first] == [page % 251 for page in range(300)]
    with inspect_file(tmp_path / "many.tif").open_images("x") as file:
        assert file.read(pages - 1)[0, 0] == (pages - 1) % 251


def test_a_broken_page_is_logged_and_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = _tiff(tmp_path / "scan.tif", *(np.full((64, 64), 60 * i, np.uint8) for i in range(3)))
    data = path.read_bytes()
    path.write_bytes(data[:-2000])  # its last page is cut short
    seen = []
    with pytest.raises(SourceUnreadableError), open_source(path) as source:
        seen.extend(Path(frame.source).name for frame in source)
    assert seen == ["scan.tif#1", "scan.tif#2"]


def test_pages_that_fail_count_as_their_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    _save(folder, "a.png")
    small, large = np.zeros((8, 8, 3), np.uint8), scene(("red", 1, 1))
    path = _tiff(folder / "b.tif", large, small, small, large)
    pipeline = Pipeline("colours", points=[(200, 200)])
    with caplog.at_level(logging.WARNING), pytest.raises(FilesFailedError, match="2 of 2 files failed"):
        assert len(list(pipeline.stream(folder))) == 2
    assert sum("b.tif#" in message for message in caplog.messages) == 2
    with pytest.raises(FilesFailedError, match=r"2 of 4 pages failed, the first: .*b\.tif#2: point"):
        list(pipeline.stream(path))


def test_one_unusable_file_does_not_end_the_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.png", "c.png", "e.png"):
        cv2.imwrite(str(folder / name), scene(("red", 1, 1), ("green", 5, 5)))
    cv2.imwrite(str(folder / "b.png"), np.zeros((8, 8, 3), np.uint8))
    (folder / "d.png").write_bytes(b"%PDF")
    pipeline = Pipeline("colours", points=[(200, 200)])
    seen = []
    with caplog.at_level(logging.WARNING), pytest.raises(FilesFailedError) as caught:
        seen.extend(result.frame.shape[0] for result in pipeline.stream(folder))
    assert len(seen) == 3
    assert caught.value.exit_code == 1
    assert "2 of 5 files failed, the first: " in str(caught.value)
    warned = [message for message in caplog.messages if "photos" in message]
    assert len(warned) == 2
    assert any("b.png: point" in message for message in warned)
    assert any("d.png" in message and "found a PDF" in message for message in warned)
    with open_source(folder) as source, Flow(source, pipeline) as flow, pytest.raises(FilesFailedError):
        list(flow)
    assert flow.stats.snapshot().failed == 2
    assert list(flow) == []
    with pytest.raises(PromptError):
        list(pipeline.stream(folder / "b.png"))


def test_failures_of_the_last_files_are_counted(tmp_path: Path) -> None:
    """They fail after the source has been read to its end."""
    for i in range(6):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.zeros((8, 8, 3), np.uint8))
    pipeline = Pipeline("colours", boxes=[(100, 100, 200, 200)])
    with pytest.raises(FilesFailedError, match="6 of 6 files failed"):
        list(pipeline.stream(str(tmp_path / "*.png")))


def test_a_stopped_run_reports_no_failures(tmp_path: Path) -> None:
    for i in range(4):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.zeros((8, 8, 3), np.uint8))
    pipeline = Pipeline("colours", points=[(200, 200)])
    with open_source(str(tmp_path / "*.png")) as source, Flow(source, pipeline) as flow:
        flow.stop()
        assert list(flow) == []
