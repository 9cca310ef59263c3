"""One image by its name: files of any name and HTTP addresses are read, everything else names what takes it."""

from __future__ import annotations

import functools
import http.server
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from fastsam_trt.errors import (
    AmbiguousSourceError,
    NotOneImageError,
    SourceNotFoundError,
    SourceUnreadableError,
)
from fastsam_trt.sources import opener
from fastsam_trt.sources.one_image import read_one_image
from support.colour_models import scene

Write = Callable[[Path, list[np.ndarray]], Path]
IMAGE = scene(("red", 1, 1))


@pytest.fixture
def folder(tmp_path: Path, write_video: Write, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with files of every kind."""
    folder = tmp_path / "files"
    folder.mkdir()
    cv2.imwrite(str(folder / "photo.png"), IMAGE)
    (folder / "photo").write_bytes((folder / "photo.png").read_bytes())
    (folder / "photo [1].png").write_bytes((folder / "photo.png").read_bytes())
    write_video(folder / "clip.mp4", [IMAGE] * 3)
    (folder / "not-a-video.mp4").write_bytes((folder / "photo.png").read_bytes())
    frames = [Image.fromarray(IMAGE), Image.fromarray(IMAGE[::-1])]
    frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:])
    frames[0].save(folder / "pages.tif", save_all=True, append_images=frames[1:])
    frames[0].save(folder / "page.tif")
    (folder / "text.jpg").write_text("no image")
    (folder / "empty.jpg").touch()
    (folder / "cut.png").write_bytes((folder / "photo.png").read_bytes()[:200])
    (folder / "link.png").symlink_to("nowhere.png")
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("name", ["photo.png", "photo", "./photo.png", "photo [1].png", "not-a-video.mp4"])
def test_files_are_read_by_their_content(folder: Path, name: str) -> None:
    for source in (name, Path(name), folder / name, (folder / name).as_uri()):
        np.testing.assert_array_equal(read_one_image(source), IMAGE)


def test_a_page_is_read_and_home_folders_are_expanded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_one_image("page.tif").shape == IMAGE.shape
    monkeypatch.setenv("HOME", str(folder))
    np.testing.assert_array_equal(read_one_image("~/photo.png"), IMAGE)


def test_the_demo_photo_is_one_image(folder: Path) -> None:
    assert read_one_image("demo-photo").ndim == 3


def test_a_pipe_with_an_image(folder: Path) -> None:
    os.mkfifo("pipe")
    data = Path("photo.png").read_bytes()
    writer = threading.Thread(target=lambda: Path("pipe").write_bytes(data))
    writer.start()
    np.testing.assert_array_equal(read_one_image("pipe"), IMAGE)
    writer.join(60)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("clip.mp4", "a video"),
        ("moving.gif", "a video"),
        ("pages.tif", "2 images"),
        (".", "a folder"),
        ("*.png", "a glob"),
        ("demo", "the demo video"),
        ("cam0", "a camera"),
        ("0", "a camera"),
        ("/dev/video3", "a camera"),
        ("rtsp://user:secret@camera/stream", "the address of a stream"),
        ("udp://127.0.0.1:9", "the address of a stream"),
    ],
)
def test_what_is_not_one_image_names_stream_and_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, source: str, found: str
) -> None:
    monkeypatch.setattr(opener, "LiveSource", lambda *_: pytest.fail("nothing is opened for this error"))
    with pytest.raises(NotOneImageError, match=f"expected one image, found {found}; iterate over pipeline.") as caught:
        read_one_image(source)
    text = str(caught.value)
    assert "secret" not in text
    if "secret" not in source:
        assert f"pipeline.stream({source!r})" in text
        assert "fastsam-trt run --video " in text


@pytest.mark.parametrize(
    ("source", "error", "found"),
    [
        ("nothing.jpg", SourceNotFoundError, "nothing there"),
        ("nowhere/photo.jpg", SourceNotFoundError, "nothing there"),
        ("link.png", SourceNotFoundError, "a broken link"),
        (" photo.png", SourceNotFoundError, "but 'photo.png' exists"),
        ("", SourceNotFoundError, "expected"),
        ("a\0b", SourceNotFoundError, "can't be accessed"),
        ("x" * 5000, SourceNotFoundError, "can't be accessed"),
        ("gopherus://x/y.jpg", SourceNotFoundError, "the scheme 'gopherus'"),
        ("text.jpg", SourceUnreadableError, "found text"),
        ("empty.jpg", SourceUnreadableError, "an empty file"),
        ("cut.png", SourceUnreadableError, "cut short"),
    ],
)
def test_files_that_are_not_there_or_no_images(folder: Path, source: str, error: type[Exception], found: str) -> None:
    with pytest.raises(error, match=found):
        read_one_image(source)


def test_a_missing_file_is_a_file_not_found_error(folder: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_one_image("nothing.jpg")


def test_a_name_with_two_meanings_is_refused(folder: Path) -> None:
    Path("cam0").write_bytes(Path("photo.png").read_bytes())
    with pytest.raises(AmbiguousSourceError):
        read_one_image("cam0")
    np.testing.assert_array_equal(read_one_image("./cam0"), IMAGE)
    np.testing.assert_array_equal(read_one_image(Path("cam0")), IMAGE)


@pytest.fixture
def server(folder: Path) -> Iterator[str]:
    handler: Any = functools.partial(_Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join(60)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def test_an_image_over_http(server: str) -> None:
    np.testing.assert_array_equal(read_one_image(f"{server}/photo.png"), IMAGE)
    with pytest.raises(SourceNotFoundError):
        read_one_image(f"{server}/nothing.png")
    with pytest.raises(NotOneImageError, match="found a live stream"):
        read_one_image(f"{server}/clip.mp4")
