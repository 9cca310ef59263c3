"""The overlay's window: ways to close it, and no frame lost by closing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from fastsam_trt.cli.main import main
from fastsam_trt.errors import DisplayError
from fastsam_trt.sinks import WindowSink
from fastsam_trt.sinks.sink import Sink
from fastsam_trt.sources import Frame
from support.colour_models import scene
from support.made_results import made_result

Write = Callable[[Path, list[np.ndarray]], Path]


class Screen:
    """A window library: the images shown, keys pressed by image, and the image after which the window is closed.

    Args:
        tells: Whether it knows that a window was closed.
        raises: Whether it does so by an error, as some do.
    """

    def __init__(
        self,
        patch: pytest.MonkeyPatch,
        keys: dict[int, str],
        closed: int = -1,
        *,
        tells: bool = True,
        raises: bool = False,
    ) -> None:
        self.shown = 0
        self.is_open = False
        self.destroyed = 0
        self._keys, self._closed, self._tells, self._raises = keys, closed, tells, raises
        patch.setenv("DISPLAY", ":7")
        patch.setattr(cv2, "imshow", self._show)
        patch.setattr(cv2, "waitKey", self._wait)
        patch.setattr(cv2, "getWindowProperty", self._property)
        patch.setattr(cv2, "destroyWindow", self._destroy)

    def _show(self, title: str, image: np.ndarray) -> None:
        self.shown += 1
        self.is_open = True

    def _wait(self, ms: int) -> int:
        if self.shown == self._closed:
            self.is_open = False
        return ord(self._keys.get(self.shown, "\xff"))

    def _property(self, title: str, number: int) -> float:
        assert number == cv2.WND_PROP_VISIBLE
        if not self._tells:
            return -1.0
        if self._raises and not self.is_open:
            raise cv2.error("NULL window")
        return float(self.is_open)

    def _destroy(self, title: str) -> None:
        if not self.is_open:
            raise cv2.error("NULL window")
        self.destroyed += 1
        self.is_open = False


@pytest.fixture
def video(tmp_path: Path, write_video: Write) -> Path:
    return write_video(tmp_path / "clip.avi", [scene(("red", 1, 1))] * 60)


def _write(sink: Sink, times: int) -> None:
    result = made_result([np.ones((60, 80), bool)])
    for index in range(times):
        sink.write(Frame(result.frame, index, "made"), result)


@pytest.mark.parametrize("key", ["q", "\x1b"])
def test_a_key_ends_the_run_and_later_frames_are_shown(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(monkeypatch, {2: key})
    with WindowSink() as sink:
        _write(sink, 1)
        assert not sink.wants_end
        _write(sink, 1)
        assert sink.wants_end
        _write(sink, 2)
        assert sink.wants_end
    assert (screen.shown, screen.destroyed) == (4, 1)


@pytest.mark.parametrize("raises", [False, True])
def test_a_window_closed_by_its_button_stays_closed(raises: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(monkeypatch, {}, closed=3, raises=raises)
    with WindowSink() as sink:
        _write(sink, 6)
        assert sink.wants_end
    assert (screen.shown, screen.destroyed) == (3, 0)


def test_a_window_library_without_visibility_counts_as_open(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(monkeypatch, {}, tells=False)
    with WindowSink() as sink:
        _write(sink, 3)
        assert not sink.wants_end
    assert (screen.shown, screen.destroyed) == (3, 1)


def test_opencv_without_windows_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    Screen(monkeypatch, {})

    def imshow(title: str, image: np.ndarray) -> None:
        error = cv2.error("no")
        error.err = "not implemented"
        raise error

    monkeypatch.setattr(cv2, "imshow", imshow)
    with pytest.raises(DisplayError, match="without windows"), WindowSink() as sink:
        _write(sink, 1)


@pytest.mark.parametrize(("keys", "closed"), [({4: "q"}, -1), ({}, 4)])
def test_the_frame_at_which_the_window_is_closed_is_written_everywhere_and_counted(
    keys: dict[int, str],
    closed: int,
    video: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("aiohttp")
    screen, seen = Screen(monkeypatch, keys, closed), []
    monkeypatch.setattr("fastsam_trt.preview.PreviewSink.write", lambda self, frame, result: seen.append(frame.index))
    out, lines, stats = tmp_path / "out.mp4", tmp_path / "out.jsonl", tmp_path / "stats.json"
    arguments = ["run", "--video", video, "--model", "colours", "--show", "--preview", "0"]  # whose sink is the last
    assert main([*map(str, arguments), "--save", str(out), "--json", str(lines), "--stats", str(stats)]) == 130
    records = [json.loads(line) for line in lines.read_text().splitlines()]
    assert 4 <= len(records) < 60
    assert [record["frame"] for record in records] == list(range(len(records))) == seen
    assert cv2.VideoCapture(str(out)).get(cv2.CAP_PROP_FRAME_COUNT) == len(records)
    found = json.loads(stats.read_text())
    assert (found["frames"], found["interrupted"], found["error"]) == (len(records), True, None)
    assert capsys.readouterr().out.startswith(f"{len(records)} frames, ")
    assert screen.shown == (len(records) if keys else 4)
