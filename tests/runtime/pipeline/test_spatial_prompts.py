"""Boxes, points and exclusions in the pipeline: what they select, also together with texts, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import fastsam_trt
from fastsam_trt import Pipeline
from fastsam_trt.errors import PromptError
from support.colour_models import CELL_PX, scene

SHAPES = (("red", 1, 1), ("green", 1, 5), ("blue", 5, 1), ("red", 5, 5))
RED, GREEN, BLUE, LOW_RED = ((row, column) for _, row, column in SHAPES)


@pytest.fixture(scope="module")
def opened(exact_models: Path) -> Pipeline:
    return Pipeline(exact_models / "models" / "colours")


@pytest.fixture
def pipe(opened: Pipeline) -> Pipeline:
    """An open pipeline with no prompts."""
    opened.prompts = opened.excluded = ()
    opened.boxes = opened.points = None
    return opened


def _centre(cell: tuple[int, int]) -> list[float]:
    """The centre of a cell (row, column), x and y in px."""
    return [(cell[1] + 0.5) * CELL_PX, (cell[0] + 0.5) * CELL_PX]


def _around(cell: tuple[int, int]) -> list[float]:
    x, y = _centre(cell)
    return [x - 30, y - 25, x + 20, y + 30]


def _found(result: fastsam_trt.Result) -> dict[tuple[int, int], int]:
    """(row, column) of the selected segments, with their prompt ids."""
    middles = (result.boxes[:, :2] + result.boxes[:, 2:]) / 2 / CELL_PX - 0.5
    cells = [(round(float(y)), round(float(x))) for x, y in middles]
    assert len(set(cells)) == len(cells) == len(result)
    assert result.selection.indices.tolist() == sorted(result.selection.indices.tolist())
    return dict(zip(cells, result.prompt_ids.tolist(), strict=True))


def test_boxes_select_one_segment_each() -> None:
    frame = scene(*SHAPES)
    pipe = Pipeline("colours", boxes=[_around(GREEN)])
    result = pipe(frame)
    assert _found(result) == {GREEN: -1}
    assert result.labels == ["green"]
    assert result.masks().shape == (1, 256, 256)
    assert np.isnan(result.similarities).all()
    pipe.boxes = [
        _around(GREEN),
        [-500, 120.5, 99, 1e6],
        np.add(_around(GREEN), 1),
    ]  # the second is clipped to the frame
    assert _found(pipe(frame)) == {GREEN: -1, BLUE: -1}
    pipe.boxes = None
    assert len(pipe(frame)) == 4


def test_points_select_what_they_lie_on() -> None:
    frame = scene(*SHAPES)
    pipe = Pipeline("colours", points=[_centre(RED), [130, 130]])
    assert _found(pipe(frame)) == {RED: -1}
    pipe.points = [_centre(RED), _centre(BLUE)]
    assert _found(pipe(frame)) == {RED: -1, BLUE: -1}
    pipe.point_labels = [1, 0]
    assert _found(pipe(frame)) == {RED: -1}
    pipe.points = [_centre(GREEN), _centre(RED)]  # the labels stay
    assert _found(pipe(frame)) == {GREEN: -1}
    pipe.point_labels = None
    assert _found(pipe(frame)) == {GREEN: -1, RED: -1}
    pipe.points = [[0, 0]]
    assert len(pipe(frame)) == 0
    pipe.points = []
    assert len(pipe(frame)) == 4


def test_background_points_alone_select_everything_else() -> None:
    pipe = Pipeline("colours", points=[_centre(RED)], point_labels=[0])
    assert _found(pipe(scene(*SHAPES))) == {GREEN: -1, BLUE: -1, LOW_RED: -1}


def test_points_and_labels_are_set_together() -> None:
    frame = scene(*SHAPES)
    pipe = Pipeline("colours", points=[_centre(RED)], point_labels=[1])
    pipe.set_points([_centre(RED), _centre(GREEN), _centre(BLUE)], [0, 1, 1])
    assert _found(pipe(frame)) == {GREEN: -1, BLUE: -1}
    assert pipe.point_labels.tolist() == [0, 1, 1]
    pipe.set_points([_centre(RED), _centre(GREEN)])
    assert pipe.point_labels.tolist() == [1, 1]
    pipe.set_points([_centre(RED)], [0])
    pipe.points = []  # no points, so no labels
    assert pipe.point_labels.tolist() == []
    pipe.points = [_centre(RED)]
    assert _found(pipe(frame)) == {RED: -1}


def test_texts_boxes_and_points_are_alternatives() -> None:
    pipe = Pipeline("colours", prompts=["green", "red"], boxes=[_around(RED), _around(BLUE)], points=[_centre(BLUE)])
    frame = scene(*SHAPES)
    assert _found(pipe(frame)) == {RED: 1, GREEN: 0, BLUE: -1, LOW_RED: 1}
    pipe.set_points([_centre(LOW_RED), _centre(BLUE)], [0, 0])  # whichever prompt selected them
    assert _found(pipe(frame)) == {RED: 1, GREEN: 0}
    pipe.prompts = []
    assert _found(pipe(frame)) == {RED: -1}
    pipe.boxes = []
    assert _found(pipe(frame)) == {RED: -1, GREEN: -1}


def test_masks_that_a_prompt_looked_at_are_not_decoded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from fastsam_trt.masks.prototype import PrototypeMasks

    decoded: list[int] = []
    real = PrototypeMasks.decode

    def counted(self: PrototypeMasks, indices: list[int]) -> list:
        decoded.extend(indices)
        return real(self, indices)

    monkeypatch.setattr(PrototypeMasks, "decode", counted)
    pipe = Pipeline("colours", boxes=[_around(RED)], points=[_centre(RED), _centre(GREEN)])
    result = pipe(scene(*SHAPES))
    assert sorted(decoded) == result.selection.indices.tolist()
    result.masks()
    assert len(decoded) == len(result) == 2
    result.segments.masks.decode(range(4))
    assert sorted(decoded) == [0, 1, 2, 3]


def test_an_empty_frame_gives_an_empty_result() -> None:
    pipe = Pipeline("colours", prompts=["red"], boxes=[_around(RED)], excluded=["green"])
    for points, labels in (([[1, 1]], [1]), ([[1, 1]], [0]), ([], None)):
        pipe.set_points(points, labels)
        assert len(pipe(scene())) == 0


def test_prompt_arrays_are_read_only() -> None:
    given = np.array([_around(RED)], np.float32)
    pipe = Pipeline("colours", boxes=given, points=[(3, 4)], excluded="red")
    given[:] = 0
    assert pipe.boxes.tolist() == [_around(RED)]
    assert (pipe.points.tolist(), pipe.point_labels.tolist()) == ([[3, 4]], [1])
    assert pipe.excluded == ("red",)
    for array in (pipe.boxes, pipe.points, pipe.point_labels):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 5


def test_an_excluded_class_is_never_selected() -> None:
    frame = scene(*SHAPES)
    pipe = Pipeline("colours", clip="no-such-clip", excluded=["reds"])
    assert _found(pipe(frame)) == {GREEN: -1, BLUE: -1}
    pipe.prompts = ["blue"]
    assert _found(pipe(frame)) == {BLUE: 0}
    pipe.boxes, pipe.points = [_around(RED)], [_centre(LOW_RED)]
    assert _found(pipe(frame)) == {BLUE: 0}
    pipe.excluded = []
    assert _found(pipe(frame)) == {RED: -1, BLUE: 0, LOW_RED: -1}


def test_an_excluded_text_is_a_negative_for_clip() -> None:
    frame = scene(*SHAPES)
    pipe = Pipeline("things", clip="clip-colours", prompts=["a red green shape"])  # equally similar to red and green
    assert _found(pipe(frame)) == {RED: 0, GREEN: 0, LOW_RED: 0}
    pipe.excluded = ["the green object"]
    assert _found(pipe(frame)) == {RED: 0, LOW_RED: 0}
    pipe = Pipeline(
        "colours", clip="clip-colours", selector="clip", prompts=["a red green shape"], excluded=["green"]
    )  # `green` is a class, but this selector uses CLIP
    assert _found(pipe(frame)) == {RED: 0, LOW_RED: 0}


def test_an_excluded_text_alone_selects_everything_else() -> None:
    frame = scene(*SHAPES)
    pipe = Pipeline("things", clip="clip-colours", excluded=["the red object"])
    assert _found(pipe(frame)) == {GREEN: -1, BLUE: -1}
    pipe.boxes = [_around(RED), _around(BLUE)]
    assert _found(pipe(frame)) == {BLUE: -1}


def test_an_excluded_text_competes_with_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    """A red segment is closer to its prompt than to the exclusion. A green one that a box selected has no prompt."""
    pipe = Pipeline(
        "colours", clip="clip-colours", prompts=["red"], boxes=[_around(GREEN)], excluded=["a red green shape"]
    )
    shown: list[int] = []
    clip = pipe.clip
    assert clip is not None
    real = clip.embed_boxes
    monkeypatch.setattr(clip, "embed_boxes", lambda frame, boxes, _: shown.append(len(boxes)) or real(frame, boxes))
    assert _found(pipe(scene(*SHAPES))) == {RED: 0, LOW_RED: 0}
    assert shown == [3]  # segments that are not selected are not embedded
    pipe.excluded = []
    assert _found(pipe(scene(*SHAPES))) == {RED: 0, GREEN: -1, LOW_RED: 0}


@pytest.mark.parametrize(
    ("prompts", "excluded", "selector"),
    [
        (["red"], ["Reds"], "auto"),
        (["red"], ["red"], "clip"),
        (["a red shape"], ["A red shape"], "auto"),
    ],
)
def test_a_prompt_that_is_also_excluded_is_refused(prompts: list[str], excluded: list[str], selector: str) -> None:
    pipe = Pipeline("colours", clip="clip-colours", selector=selector, prompts=prompts)
    with pytest.raises(PromptError, match=r"(?i)red.* either as a prompt or as an exclusion, found both; remove one"):
        pipe.excluded = excluded
    assert pipe.excluded == ()
    assert len(pipe(scene(*SHAPES))) == 2


def test_the_labels_selector_applies_to_exclusions() -> None:
    with pytest.raises(PromptError, match="selector labels: expected the name of a class of the model, found 'rde'"):
        Pipeline("colours", selector="labels", excluded=["rde"])
    with pytest.raises(PromptError, match="expected a prompt with text"):
        Pipeline("colours", excluded=[" "])


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([[50, 10, 20, 40]], r"box \[50, 10, 20, 40\]: expected x0 < x1 and y0 < y1"),
        ([[0, 0, 9, 9], [10, 40, 20, 40]], r"box \[10, 40, 20, 40\]: expected x0 < x1"),
        ([[0, 0, 9, np.nan]], r"boxes: expected finite numbers, .* found \[0, 0, 9, nan\]"),
        ([[0, 0, np.inf, 9]], "expected finite numbers"),
        ([0, 0, 9, 9], r"boxes: expected .* of shape \(k, 4\), found shape \(4,\)"),
        ([[0, 0, 9]], r"found shape \(1, 3\)"),
        ([[]], r"found shape \(1, 0\)"),
        ([[[0, 0, 9, 9]]], r"found shape \(1, 1, 4\)"),
        (7, r"found shape \(\)"),
        ([[0, 0, 9, 9], [1, 2]], r"boxes: expected numbers such as .*, found \[\[0, 0, 9, 9\], \[1, 2\]\]"),
        ([["0", "0", "9", "9"]], "expected numbers"),
        ([[0, 0, 9, None]], "expected numbers"),
        ("red", "expected numbers"),
    ],
)
def test_invalid_boxes_are_refused(pipe: Pipeline, boxes: object, message: str) -> None:
    with pytest.raises(PromptError, match=message):
        Pipeline("colours", boxes=boxes)
    pipe.boxes = [_around(RED)]
    with pytest.raises(PromptError, match=message):
        pipe.boxes = boxes
    assert _found(pipe(scene(*SHAPES))) == {RED: -1}  # a refused change changes nothing


@pytest.mark.parametrize(
    ("points", "labels", "message"),
    [
        ([[1, 2], [3, 4]], [1], "expected one per point, found 1 labels for 2 points; set both together"),
        ([[1, 2]], [1, 0], "found 2 labels for 1 points"),
        ([], [1], "found 1 labels for 0 points"),
        ([[1, 2]], [], "found 0 labels for 1 points"),
        ([[1, 2]], [2], r"expected 1 \(foreground\) or 0 \(background\), found 2"),
        ([[1, 2]], [-1], "found -1"),
        ([[1, 2]], [0.5], r"found 0\.5"),
        ([[1, 2]], [np.nan], "found nan"),
        ([[1, 2]], 1, r"point labels: expected a flat list such as \[1, 0, \.\.\.\], found shape \(\)"),
        ([[1, 2]], [[1]], r"found shape \(1, 1\)"),
        ([[1, 2]], ["1"], "point labels: expected numbers"),
        ([1, 2], None, r"points: expected .* of shape \(k, 2\), found shape \(2,\)"),
        ([[1, 2, 1]], None, r"found shape \(1, 3\)"),
        ([[1, np.inf]], None, "points: expected finite numbers"),
        ([["a", "b"]], None, "points: expected numbers"),
    ],
)
def test_invalid_points_are_refused(pipe: Pipeline, points: object, labels: object, message: str) -> None:
    with pytest.raises(PromptError, match=message):
        Pipeline("colours", points=points, point_labels=labels)
    pipe.set_points([_centre(RED), _centre(GREEN), _centre(BLUE)], [1, 0, 1])
    with pytest.raises(PromptError, match=message):
        pipe.set_points(points, labels)
    assert _found(pipe(scene(*SHAPES))) == {RED: -1, BLUE: -1}


def test_labels_that_do_not_fit_the_points_are_refused_when_set(pipe: Pipeline) -> None:
    pipe.set_points([_centre(RED), _centre(GREEN)], [1, 0])
    with pytest.raises(PromptError, match="found 2 labels for 1 points"):
        pipe.points = [_centre(RED)]
    with pytest.raises(PromptError, match="found 3 labels for 2 points"):
        pipe.point_labels = [1, 0, 1]
    assert _found(pipe(scene(*SHAPES))) == {RED: -1}


@pytest.mark.parametrize("box", [[256, 0, 300, 50], [0, 256, 9, 300], [-50, 0, 0, 50], [0, -9, 9, -0.5]])
def test_boxes_outside_the_frame_are_refused_with_its_size(pipe: Pipeline, box: list[float]) -> None:
    pipe.boxes = [_around(RED), box]
    with pytest.raises(PromptError, match="expected an overlap with the frame of 256 x 200 px, found none"):
        pipe(scene(("red", 1, 1), height=200))
    pipe.boxes = [_around(RED)]
    assert len(pipe(scene(*SHAPES))) == 1


@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("point", [[256, 0], [0, 200], [-0.5, 3], [1e300, 3]])
def test_points_outside_the_frame_are_refused_with_its_size(pipe: Pipeline, point: list[float], label: int) -> None:
    pipe.set_points([point], [label])
    with pytest.raises(PromptError, match="expected 0 <= x < 256 and 0 <= y < 200 in the frame of 256 x 200 px"):
        pipe(scene(height=200))
    pipe.points = [[255.9, 199.9]]
    pipe(scene(height=200))
