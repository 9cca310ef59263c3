"""Names of sources: what each one means, on any machine and in any folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fastsam_trt import open_source
from fastsam_trt.cli.file_paths import resolve_video_path
from fastsam_trt.errors import (
    AmbiguousSourceError,
    OptionError,
    SourceNotFoundError,
    SourceTypeError,
    SourceUnreadableError,
)
from fastsam_trt.sources import opener
from fastsam_trt.sources.names import as_path, printable


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with an image in it."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    cv2.imwrite("photo.png", np.full((8, 12, 3), 99, np.uint8))
    return folder


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch) -> list[str | int]:
    """Targets of the cameras and streams that are opened."""
    opened: list[str | int] = []
    for name in ("LiveSource", "open_address"):
        monkeypatch.setattr(opener, name, lambda _name, target, *_, **__: opened.append(target))
    return opened


def _sizes(name: Any) -> list[tuple[int, ...]]:
    with open_source(name) as source:
        return [frame.image.shape[:2] for frame in source]


@pytest.mark.parametrize(
    "name", ["demo", "0", "cam0", "rtsp:", "a:b.png", "photo[1].png", "-", "line\nbreak.png", "x.png "]
)
def test_path_objects_are_paths(here: Path, live: list[str | int], name: str) -> None:
    Path("photo.png").rename(name)
    assert _sizes(Path(name)) == [(8, 12)]
    assert _sizes(here / name) == [(8, 12)]
    assert live == []
    Path(name).unlink()
    with pytest.raises(SourceNotFoundError):
        open_source(Path(name))
    assert live == []


@pytest.mark.parametrize(
    "name", ["a:b.png", "photo[1].png", "line\nbreak.png", "x.png ", "~.png", "%41.png", "x#2", "x?y"]
)
def test_odd_names_are_files(here: Path, name: str) -> None:
    Path("photo.png").rename(name)
    assert _sizes(name) == [(8, 12)]


@pytest.mark.parametrize(
    ("name", "ways"),
    [
        ("demo", ["./demo", "demo://"]),
        ("demo-photo", ["./demo-photo", "demo://photo"]),
        ("0", ["./0", "/dev/video0"]),
        ("cam3", ["./cam3", "/dev/video3"]),
    ],
)
def test_an_ambiguous_name_is_refused_with_both_meanings(
    here: Path, live: list[str | int], name: str, ways: list[str]
) -> None:
    Path(name).mkdir()
    Path("photo.png").rename(Path(name) / "photo.png")
    with pytest.raises(AmbiguousSourceError) as caught:
        open_source(name)
    assert caught.value.exit_code == 2
    assert all(way in str(caught.value) for way in ways)
    assert _sizes(ways[0]) == [(8, 12)]
    if name.startswith("demo"):
        assert open_source(ways[1], vid_stride=300).frames == 1
    else:
        open_source(ways[1])
        assert live == [int(name[-1])]


def test_cameras_and_links_to_them(here: Path, live: list[str | int]) -> None:
    Path("by-id").mkdir()
    Path("by-id/usb-Maker_Camera-index0").symlink_to("/dev/video97")
    Path("mine").symlink_to("by-id/usb-Maker_Camera-index0")
    for name in (
        "cam97",
        "97",
        97,
        "/dev/video97",
        Path("/dev/video97"),
        "by-id/usb-Maker_Camera-index0",
        Path("mine"),
    ):
        open_source(name)
    assert live == [97] * 7
    with pytest.raises(SourceNotFoundError, match="0 to 999999999"):
        open_source(-1)


def test_schemes_in_any_case(here: Path, live: list[str | int]) -> None:
    for name in ("RTSP://User@Host/Path", "Http://h/A.mp4", "hls+HTTP://h/x.m3u8", "srt://h:1"):
        open_source(name)
    assert live == ["rtsp://User@Host/Path", "http://h/A.mp4", "hls+http://h/x.m3u8", "srt://h:1"]


@pytest.mark.parametrize(
    "name", ["s3://bucket/x.mp4", "ftpx://h/x", "gs://b/x", "concat+http2://x", "ftpx://me:secret@h"]
)
def test_unknown_schemes_are_named(here: Path, live: list[str | int], name: str) -> None:
    with pytest.raises(
        SourceNotFoundError, match=f"the scheme '{name.partition(':')[0]}'".replace("+", r"\+")
    ) as caught:
        open_source(name)
    assert "secret" not in str(caught.value)
    assert live == []


def test_file_addresses_are_files(here: Path, live: list[str | int]) -> None:
    odd = here / "a b#1%.png"
    Path("photo.png").rename(odd)
    for name in (
        odd.as_uri(),
        odd.as_uri().replace("file:", "FILE:"),
        odd.as_uri().replace("file://", "file://localhost"),
        odd.as_uri().replace("file://", "file:"),
        f"file:{odd.name}",
        f"file://{odd}",
    ):
        assert _sizes(name) == [(8, 12)], name
    with pytest.raises(SourceNotFoundError, match="the host 'other'"):
        open_source("file://other/x.png")
    with pytest.raises(SourceNotFoundError, match="nothing there"):
        open_source("file:///no/such.png")
    assert live == []


def test_the_home_folder_is_expanded(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(here))
    assert _sizes("~/photo.png") == [(8, 12)]
    with pytest.raises(SourceNotFoundError):
        open_source("~nobody-of-this-name/photo.png")


def test_types_of_sources(here: Path, live: list[str | int]) -> None:
    class Named:
        def __fspath__(self) -> str:
            return "photo.png"

    for path in (b"photo.png", Named()):
        assert _sizes(path) == [(8, 12)]
    numbers: list[Any] = [3, np.int64(3), np.uint8(3)]
    for number in numbers:
        open_source(number)
    assert [(type(each), each) for each in live] == [(int, 3)] * 3
    wrong: Any
    for wrong in (None, True, 1.5, [], ["photo.png"], ("photo.png",), object(), np.zeros((4, 4, 3), np.uint8)):
        with pytest.raises(
            SourceTypeError, match="expected a str, a path or a camera number as an int, found"
        ) as caught:
            open_source(wrong)
        assert isinstance(caught.value, TypeError)
        assert "\n" not in str(caught.value)
    strides: list[Any] = [0, 1.5, "2"]
    for stride in strides:
        with pytest.raises(OptionError, match="vid_stride: expected a whole number"):
            open_source("demo", vid_stride=stride)
    hundred: Any = np.int64(100)
    assert open_source("demo", vid_stride=hundred).frames == open_source("demo", vid_stride=100).frames
    for number in (-1, 10**12):
        with pytest.raises(SourceNotFoundError, match="a camera number from 0 to"):
            open_source(number)


@pytest.mark.parametrize("name", ["", "x" * 5000, "nul\0byte.png", " photo.png"])
def test_names_that_do_not_exist(here: Path, name: str) -> None:
    with pytest.raises(SourceNotFoundError) as caught:
        open_source(name)
    assert "\n" not in str(caught.value)
    if name == " photo.png":
        assert "but 'photo.png' exists" in str(caught.value)


def test_links_and_devices_are_named(here: Path) -> None:
    Path("gone.png").symlink_to("nowhere.png")
    with pytest.raises(SourceNotFoundError, match="a broken link"):
        open_source("gone.png")
    with pytest.raises(SourceUnreadableError, match="another kind of device"):
        open_source("/dev/null")


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux only")
def test_names_that_are_not_utf8(here: Path) -> None:
    name = os.fsdecode(b"caf\xe9\x1b.png")
    Path("photo.png").rename(name)
    for source in (name, Path(name), "."):
        with open_source(source) as opened:
            (frame,) = opened
        frame.source.encode()
        assert Path(frame.source).name == r"caf\xe9\x1b.png"
    with pytest.raises(SourceNotFoundError) as caught:
        open_source(f"{name}.mp4")
    str(caught.value).encode()
    assert printable("grün/ﷺ.png") == "grün/ﷺ.png"
    assert printable("half \ud800") == r"half \ud800"


def test_videos_saved_into_a_folder_have_their_sources_name(tmp_path: Path) -> None:
    folder = tmp_path / "out.mp4"
    assert resolve_video_path(folder, "clip.mov") == folder
    folder.mkdir()
    for source, name in (
        ("in/clip.x.mov", "clip.x.mp4"),
        ("cam0", "cam0.mp4"),
        ("/dev/video2", "video2.mp4"),
        ("demo", "demo.mp4"),
        ("demo://", "demo.mp4"),
        ("-", "stdin.mp4"),
        ("pipe:0", "stdin.mp4"),
        ("/dev/fd/63", "63.mp4"),
        ("file:a%20b%2541.ts", "a b%41.mp4"),
        ("FILE:///in/caf%C3%A9.mov", "café.mp4"),
        ("http://h/live/stream.m3u8", "stream.mp4"),
        ("rtsp://user:secret@host:554/main?token=1", "main.mp4"),
        ("tcp://host:99", "host-99.mp4"),
        ("http://h/a%20b/", "a-20b.mp4"),
    ):
        assert resolve_video_path(folder, source) == folder / name


def test_paths_of_addresses() -> None:
    assert as_path("file:///a%C3%A9") == Path("/aé")
