"""One segment: its fields are those of the result's arrays, in plain Python types."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from fastsam_trt import Result, Segment
from fastsam_trt.errors import OptionError
from support.made_results import hard_masks, made_result

MASKS = [hard_masks()[name] for name in ("disc", "ring", "parts", "nothing", "full frame")]


@pytest.fixture
def result() -> Result:
    made = made_result(
        MASKS,
        class_ids=[0, 1, 2, 1, 0],
        prompts=("a pet", "a bird"),
        prompt_ids=[0, -1, 1, 0, -1],
        similarities=[0.9, np.nan, 0.7, 0.6, np.nan],
    )
    tracked = replace(made.segments, track_ids=np.array([7, -1, 3, -1, 0], np.int32))
    frame = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    return Result(frame, tracked, made.selection, class_names=made.class_names, prompts=made.prompts, speed={})


def test_fields(result: Result) -> None:
    for row, segment in enumerate(result):
        np.testing.assert_array_equal(segment.box, result.boxes[row])
        assert segment.box.dtype == np.float32
        assert segment.score == pytest.approx(float(result.scores[row]))
        assert segment.class_id == result.class_ids[row]
        assert segment.label == result.labels[row]
        assert segment.display_name == result.display_names[row]
        np.testing.assert_array_equal(segment.mask, MASKS[row])
        assert segment.rle == result.rle()[row]
        np.testing.assert_array_equal(segment.cutout, result.cutouts()[row])
        for polygon, expected in zip(segment.polygons(), result.polygons()[row], strict=True):
            np.testing.assert_array_equal(polygon, expected)
    assert [segment.prompt for segment in result] == ["a pet", None, "a bird", "a pet", None]
    assert [segment.track_id for segment in result] == [7, None, 3, None, 0]
    assert [segment.similarity for segment in result] == pytest.approx([0.9, None, 0.7, 0.6, None])
    for value, kind in ((result[0].score, float), (result[0].class_id, int), (result[0].track_id, int)):
        assert type(value) is kind


def test_polygons_take_the_options_of_the_result(result: Result) -> None:
    exact, simple = result[0].polygons(), result[0].polygons(2.0)
    assert len(simple[0]) < len(exact[0])
    filled = result[1].polygons(holes=False)[0]
    assert cv2.contourArea(filled) > cv2.contourArea(result[1].polygons()[0])
    assert result[3].polygons() == []
    with pytest.raises(OptionError, match="simplify_px"):
        result[0].polygons(-1)


def test_a_model_without_class_names() -> None:
    for options in ({"class_agnostic": True}, {"class_names": ()}):
        (segment,) = made_result(MASKS[:1], **options)
        assert segment.label is segment.prompt is segment.display_name is None
        assert repr(segment) == "<Segment unnamed, score 0.90, box [20, 10, 61, 51]>".replace(
            "[20, 10, 61, 51]", _box()
        )


def _box() -> str:
    return str([round(edge) for edge in made_result(MASKS[:1]).boxes[0].tolist()])


def test_what_a_segment_says_of_itself(result: Result) -> None:
    assert repr(result[0]) == f"<Segment 'a pet', score 0.90, similarity 0.90, box {_box()}, track 7>"
    assert repr(result[1]).startswith("<Segment 'dog', score 0.80, box [")
    assert repr(result[3]) == "<Segment 'a pet', score 0.60, similarity 0.60, box [3, 2, 7, 2]>"


def test_fields_cannot_be_set(result: Result) -> None:
    segment = result[0]
    with pytest.raises(AttributeError):
        segment.label = "cat"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        segment.colour = "red"  # type: ignore[attr-defined]
    assert isinstance(segment, Segment)
