"""Images of a run: overlays, shared between sinks, or three panels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fastsam_engine.errors import OutputError
from fastsam_trt.drawing.style import DrawStyle
from fastsam_trt.results.panels import draw_panels
from fastsam_trt.sinks import OverlaySink, PanelSink
from fastsam_trt.sinks.shared_overlay import Overlay
from fastsam_trt.sources import Frame
from support.made_results import made_result
from support.typed import picture

MASKS = [np.pad(np.ones((60, 40), bool), ((0, 0), (40 * i, 40 * (1 - i)))) for i in range(2)]


def test_an_image_is_the_overlay_in_the_style_of_the_run(tmp_path: Path) -> None:
    result = made_result(MASKS)
    style = DrawStyle(draw=("boxes",), line_width=9)
    with OverlaySink(tmp_path / "one.png", (), Overlay(style)) as sink:
        sink.write(Frame(result.frame, 0, "photo.jpg"), result)
    np.testing.assert_array_equal(picture(tmp_path / "one.png"), result.plot(draw="boxes", line_width=9))


@pytest.mark.parametrize("kind", [OverlaySink, PanelSink])
def test_a_folder_gets_an_image_per_frame(kind: type[OverlaySink | PanelSink], tmp_path: Path) -> None:
    files = [tmp_path / "a" / "x.jpg", tmp_path / "b" / "x.jpg"]
    results = [made_result(MASKS[: i + 1]) for i in range(2)]
    with kind(tmp_path / "out", files) as sink:
        for i, (file, result) in enumerate(zip(files, results, strict=True)):
            sink.write(Frame(result.frame, i, str(file)), result)
    for name, result in zip(("x.png", "x-2.png"), results, strict=True):
        expected = draw_panels(result) if kind is PanelSink else result.plot()
        np.testing.assert_array_equal(picture(tmp_path / "out" / name), expected)


def test_paths_are_checked_first(tmp_path: Path) -> None:
    for kind in (OverlaySink, PanelSink):
        with pytest.raises(OutputError, match="mkdir -p"):
            kind(tmp_path / "missing" / "out.png")
        with pytest.raises(OutputError, match="expected a folder"):
            kind(tmp_path / "out.mp4")


def test_an_overlay_is_drawn_at_most_so_large() -> None:
    result = made_result([np.ones((200, 300), bool)], size=(200, 300))
    assert Overlay(longest_px=150).of(result).shape == (100, 150, 3)
    assert Overlay(longest_px=300).of(result).shape == (200, 300, 3)
    np.testing.assert_array_equal(Overlay().of(result), result.plot())
    assert Overlay(longest_px=150).of(result) is not Overlay(longest_px=150).of(result)
    shared = Overlay()
    assert shared.of(result) is shared.of(result)
