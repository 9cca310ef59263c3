"""Pictures of results: what is selected, in stable colours, with the captions that users asked for."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from fastsam_engine.errors import OutputError
from fastsam_trt import Pipeline, Result
from fastsam_trt.drawing import overlay
from fastsam_trt.drawing.palette import COLOURS
from fastsam_trt.drawing.style import DrawStyle
from fastsam_trt.errors import DisplayError, OptionError
from fastsam_trt.results.captions import captions, words_of
from fastsam_trt.results.panels import draw_panels
from fastsam_trt.results.plot import colours_of
from support.colour_models import CELL_PX, scene, shape_mask
from support.made_results import made_result
from support.typed import present

SHAPES = (("red", 1, 1), ("green", 5, 5))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder."""
    path = tmp_path / "pictures"
    path.mkdir()
    return path


HALVES = [np.pad(np.ones((60, 40), bool), ((0, 0), (40 * i, 40 * (1 - i)))) for i in range(2)]


def _tracked(result: Result, track_ids: list[int]) -> Result:
    segments, selection = result._found
    result._found = replace(segments, track_ids=np.array(track_ids, np.int32)), selection
    return result


def test_the_overlay_marks_the_selection_only() -> None:
    frame = scene(*SHAPES)
    result = Pipeline("colours", prompts=["green"])(frame)
    changed = (result.plot() != frame).any(axis=2)
    assert changed[shape_mask(5, 5)].mean() > 0.9
    assert not changed[shape_mask(1, 1)].any()
    assert captions(result) == [f"green {result.scores[0]:.2f}"]


def test_captions_show_similarity_for_clip_selections() -> None:
    result = Pipeline("things", clip="clip-colours", prompts=["a red shape"])(scene(*SHAPES))
    assert captions(result) == [f"a red shape {result.similarities[0]:.2f}"]
    nameless = Pipeline("things")(scene(*SHAPES))
    assert captions(nameless) == [f"{score:.2f}" for score in nameless.scores]


@pytest.mark.parametrize(
    ("draw", "expected"),
    [
        (None, [("a", "0.90", "#3"), ("b", "0.50")]),
        (("labels", "scores"), [("a", "0.90", "#3"), ("b", "0.50")]),
        (("labels",), [("a", "#3"), ("b",)]),
        (("scores", "masks"), [("0.90",), ("0.50",)]),
        (("masks", "boxes"), [(), ()]),
    ],
)
def test_labels_have_the_words_that_are_asked_for(draw: Any, expected: list[tuple[str, ...]]) -> None:
    result = _tracked(made_result(HALVES, prompts=("a", "b"), prompt_ids=[0, 1]), [3, -1])
    assert words_of(result, DrawStyle(draw=draw)) == expected


def test_segments_without_a_name_have_a_score_only_where_it_is_asked_for() -> None:
    result = made_result(HALVES, class_agnostic=True)
    assert words_of(result, DrawStyle()) == [(), ()]
    assert words_of(result, DrawStyle(draw=("masks", "scores"))) == [("0.90",), ("0.50",)]
    assert words_of(_tracked(result, [4, -1]), DrawStyle()) == [("0.90", "#4"), ()]


@pytest.mark.parametrize(
    ("colour_by", "made", "tracks", "expected"),
    [
        ("auto", {"class_ids": [2, 2]}, [-1, -1], [2, 2]),
        ("auto", {"class_agnostic": True}, [-1, -1], [0, 1]),
        ("auto", {"prompts": ("cat",), "prompt_ids": [0, 0]}, [5, 9], [5, 9]),
        ("auto", {"prompts": ("a", "b"), "prompt_ids": [1, 0]}, [5, 9], [1, 0]),
        ("class", {"prompts": ("a", "b"), "prompt_ids": [1, 0], "class_ids": [2, 0]}, [5, 9], [2, 0]),
        ("prompt", {"prompts": ("a",), "prompt_ids": [0, -1]}, [5, 9], [0, 1]),
        ("prompt", {}, [5, 9], [0, 0]),
        ("track", {"class_ids": [2, 2]}, [14, 3], [2, 3]),
        ("track", {"class_ids": [2, 2]}, [-1, 3], [0, 3]),
    ],
)
def test_colours_are_those_of_tracks_classes_or_prompts(
    colour_by: Any, made: dict[str, Any], tracks: list[int], expected: list[int]
) -> None:
    result = _tracked(made_result(HALVES, **made), tracks)
    assert colours_of(result, colour_by) == [COLOURS[i] for i in expected]
    image = result.plot(colour_by=colour_by, draw="masks", opacity=1, line_width=0)
    assert [tuple(image[30, x].tolist()) for x in (20, 60)] == [COLOURS[i] for i in expected]


def test_tracks_have_captions_and_constant_colours() -> None:
    pipe = Pipeline("colours", prompts=["red"], track=True)
    first = pipe(scene(("red", 1, 1), ("red", 5, 5)))
    second = pipe(scene(("red", 5, 5)))
    (track_id,) = second.track_ids.tolist()
    assert captions(second) == [f"red {second.scores[0]:.2f} #{track_id}"]
    assert track_id in first.track_ids
    at = 5 * CELL_PX + CELL_PX // 4
    np.testing.assert_array_equal(first.plot()[at, at], second.plot()[at, at])


def test_boxes_without_masks_decode_no_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    result = made_result(HALVES)
    monkeypatch.setattr(Result, "mask_crops", lambda self: pytest.fail("decoded"))
    assert result.plot(draw=["boxes", "labels", "scores"]).any()
    assert result.plot(draw="boxes").any()


@pytest.mark.parametrize("size", [(30, 40), (600, 800), (60, 80), (1, 1), (50, 300)])
def test_a_plot_has_the_requested_size(size: tuple[int, int]) -> None:
    assert made_result(HALVES).plot(size=size).shape == (*size, 3)


@pytest.mark.parametrize(
    "options",
    [{"draw": "maks"}, {"draw": []}, {"colour_by": "size"}, {"opacity": 2}, {"line_width": -1}, {"text_size": 0},
     {"size": (0, 5)}, {"size": (5,)}, {"size": (5.5, 5)}],
)  # fmt: skip
def test_wrong_options_are_refused_before_anything_is_written(options: dict[str, Any], folder: Path) -> None:
    result = made_result(HALVES)
    for call in (result.plot, result.show, lambda **given: result.save(folder / "out.png", **given)):
        with pytest.raises(OptionError, match=f"{next(iter(options))}: expected"):
            call(**options)
    with pytest.raises(TypeError, match="colour"):
        result.plot(colour="red")  # type: ignore[call-arg]
    assert not list(folder.iterdir())


@pytest.mark.parametrize("suffix", [".png", ".PNG", ".jpg", ".webp", ".bmp", ".tif"])
def test_a_picture_is_saved_as_it_is_plotted(folder: Path, suffix: str) -> None:
    result = made_result(HALVES)
    path = result.save(str(folder / f"out{suffix}"), opacity=0.2)
    assert path == folder / f"out{suffix}"
    saved = present(cv2.imread(str(path)))
    assert np.abs(saved.astype(int) - result.plot(opacity=0.2)).mean() < 8
    assert [each.name for each in folder.iterdir()] == [path.name]


def test_a_picture_that_can_not_be_saved(folder: Path) -> None:
    result = made_result(HALVES)
    for name, message in (("out.mp4", "expected a suffix among .bmp"), ("out", "found ''"), ("no/out.png", "mkdir -p")):
        with pytest.raises(OutputError, match=message):
            result.save(folder / name)
    (folder / "folder.png").mkdir()
    with pytest.raises(OutputError, match="found a folder"):
        result.save(folder / "folder.png")
    wide = made_result([np.ones((1, 20_000), bool)], size=(1, 20_000))
    with pytest.raises(OutputError, match=r"does not take 20000 x 1 px; use the suffix \.png"):
        wide.save(folder / "out.webp")
    assert [each.name for each in folder.iterdir()] == ["folder.png"]


def test_a_notebook_shows_a_png_of_at_most_1280_px() -> None:
    for size, expected in (((60, 80), (60, 80)), ((1080, 1920), (720, 1280)), ((3000, 1), (1280, 1))):
        data = present(made_result([np.ones(size, bool)], size=size)._repr_png_())
        assert data.startswith(b"\x89PNG")
        assert present(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)).shape == (*expected, 3)


def test_show_displays_below_a_notebook_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    display = SimpleNamespace(Image=lambda **given: given, display=shown.append)
    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell, display=display))
    result = made_result(HALVES)
    result.show(opacity=0.9)
    (image,) = shown
    assert image["format"] == "png"
    saved = cv2.imdecode(np.frombuffer(image["data"], np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(present(saved), result.plot(opacity=0.9))


def test_show_opens_a_window_until_a_key_is_pressed(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    keys = iter([-1, -1, 27])
    monkeypatch.setenv("DISPLAY", ":7")
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    monkeypatch.setattr(cv2, "namedWindow", lambda *rest: calls.append("opened"))
    monkeypatch.setattr(cv2, "imshow", lambda title, image: calls.append(f"{image.shape}"))
    monkeypatch.setattr(cv2, "waitKey", lambda ms: next(keys))
    monkeypatch.setattr(cv2, "getWindowProperty", lambda *rest: 1.0)
    monkeypatch.setattr(cv2, "destroyWindow", lambda title: calls.append("closed"))
    made_result(HALVES).show()
    assert calls == ["opened", "(60, 80, 3)", "closed"]
    assert next(keys, None) is None


def test_show_ends_when_the_window_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    visible = iter([1.0, 0.0])
    monkeypatch.setenv("DISPLAY", ":7")
    for name in ("namedWindow", "imshow"):
        monkeypatch.setattr(cv2, name, lambda *rest: None)
    monkeypatch.setattr(cv2, "waitKey", lambda ms: -1)
    monkeypatch.setattr(cv2, "getWindowProperty", lambda *rest: next(visible))

    def gone(title: str) -> None:
        raise cv2.error("no such window")

    monkeypatch.setattr(cv2, "destroyWindow", gone)
    made_result(HALVES).show()
    assert next(visible, None) is None


def test_show_without_a_display_names_the_other_way(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(DisplayError, match=r"expected a display .* result.save\(path\)"):
        made_result(HALVES).show()


def test_three_panels_show_original_all_segments_and_selection() -> None:
    frame = scene(*SHAPES)
    result = Pipeline("colours", prompts=["green"])(frame)
    sheet = draw_panels(result)
    gap = 4
    heading = sheet.shape[0] - 256
    assert sheet.shape == (256 + heading, 3 * 256 + 2 * gap, 3)
    panels = [sheet[heading:, i * (256 + gap) : i * (256 + gap) + 256] for i in range(3)]
    np.testing.assert_array_equal(panels[0], frame)
    inner = np.s_[170:180, 170:180]
    assert (panels[1][inner] != frame[inner]).any()
    assert (panels[1][40:50, 40:50] != frame[40:50, 40:50]).any()
    np.testing.assert_array_equal(panels[2], result.plot())
    style = DrawStyle(draw=("boxes",))
    np.testing.assert_array_equal(draw_panels(result, style)[heading:, -256:], result.plot(draw="boxes"))


def test_prompts_of_any_script_and_tiny_frames_can_be_drawn() -> None:
    pipe = Pipeline("things", clip="clip-colours", prompts=["red \U0001f600 naïve 東京 " + "long " * 60, "blue %s {}"])
    for size in ((1, 1), (3, 200), (200, 3)):
        result = pipe(np.full((*size, 3), (0, 0, 255), np.uint8))
        assert result.plot().shape == (*size, 3)
        assert draw_panels(result).dtype == np.uint8


def test_the_old_function_works_and_names_the_new_one() -> None:
    result = made_result(HALVES)
    with pytest.warns(DeprecationWarning, match=r"draw has moved to fastsam_trt.results.plot.draw"):
        draw = overlay.draw
    with pytest.warns(DeprecationWarning, match=r"draw\(result\) is now result.plot\(\)"):
        np.testing.assert_array_equal(draw(result), result.plot())
    with pytest.warns(DeprecationWarning, match="is now"):
        assert draw(result, (300, 400), 0.9).shape == (300, 400, 3)
