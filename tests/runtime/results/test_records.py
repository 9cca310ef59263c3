"""Results in JSON types, as COCO records, as YOLO labels and as summaries, straight from the result."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco

from fastsam_trt import Pipeline, Result
from fastsam_trt.errors import OptionError
from fastsam_trt.results.coco import as_records
from fastsam_trt.results.yolo_labels import label_lines
from fastsam_trt.sinks.json_lines import as_record
from fastsam_trt.sources import Frame
from support.colour_models import scene
from support.made_results import hard_masks, made_result

MASKS = [hard_masks()[name] for name in ("disc", "ring", "parts", "nothing")]
SUMMARY = {"name", "class", "confidence", "box", "segments"}


def _made(**options: Any) -> Result:
    made = made_result(
        MASKS,
        class_ids=[0, 1, 2, 1],
        prompts=("a pet", "a bird"),
        prompt_ids=[0, -1, 1, 0],
        similarities=[0.9, np.nan, 0.7, 0.6],
        pending=(1, 2),
        **options,
    )
    tracked = replace(made.segments, track_ids=np.array([7, -1, 3, -1], np.int32))
    return Result(made.frame, tracked, made.selection, class_names=made.class_names, prompts=made.prompts,
                  class_agnostic=made._class_agnostic, speed={"segment": 1.23456})  # fmt: skip


def test_a_dict_is_what_json_lines_hold() -> None:
    result = _made()
    record = result.to_dict()
    assert json.loads(json.dumps(record)) == record
    line = as_record(Frame(result.frame, 3, "clip.mp4"), result)
    assert {name: line[name] for name in record} == record
    assert line.keys() - record.keys() == {"frame", "source", "time", "pending"}
    assert list(line) == ["frame", "source", "size", "time", "ms", "pending", "pending_tracks", "segments"]
    assert record["size"] == [60, 80]
    assert record["pending_tracks"] == line["pending"] == [-1, 3]
    assert set(record["ms"]) == {"segment", "decode", "total"}
    assert record["ms"]["segment"] == 1.235
    assert record["ms"]["decode"] > 0  # the masks are decoded before the times are read


def test_segments_of_a_dict() -> None:
    result = _made()
    segments = result.to_dict()["segments"]
    assert [list(each) for each in segments] == [["box", "score", "label", "prompt", "similarity", "track", "mask"]] * 4
    assert [each["label"] for each in segments] == ["cat", "dog", "bird", "dog"]
    assert [each["prompt"] for each in segments] == ["a pet", None, "a bird", "a pet"]
    assert [each["similarity"] for each in segments] == [0.9, None, 0.7, 0.6]
    assert [each["track"] for each in segments] == [7, None, 3, None]
    assert [each["score"] for each in segments] == [0.9, 0.7667, 0.6333, 0.5]
    assert [each["box"] for each in segments] == result.boxes.tolist()
    for segment, mask in zip(segments, MASKS, strict=True):
        np.testing.assert_array_equal(coco.decode(segment["mask"]), mask)


def test_a_dict_without_masks_decodes_none() -> None:
    result = _made()
    assert all("mask" not in segment for segment in result.to_dict(masks=False)["segments"])
    assert result.speed["decode"] == 0


def test_a_dict_of_nothing() -> None:
    record = made_result([]).to_dict()
    assert record["segments"] == record["pending_tracks"] == []
    assert json.dumps(record)


def test_coco_records() -> None:
    result = _made()
    assert result.to_coco() == as_records(result, 0)
    assert result.to_coco(7, {0: 17, 1: 18, 2: 16}, file_name="a.jpg") == as_records(
        result, 7, {0: 17, 1: 18, 2: 16}, file_name="a.jpg"
    )
    assert json.dumps(result.to_coco())
    assert made_result([]).to_coco() == []
    with pytest.raises(OptionError, match="category_ids: expected a category for class 1"):
        result.to_coco(0, {0: 17})


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        ({}, [0, 1, 2, 1]),
        ({"class_agnostic": True, "class_names": ("object",) * 3}, [0, 2, 1, 0]),
        ({"class_names": ()}, [0, 2, 1, 0]),
    ],
)
def test_yolo_labels(options: dict[str, Any], numbers: list[int]) -> None:
    result = _made(**options)
    for confidence in (False, True):
        text = result.to_yolo(confidence=confidence)
        assert text == label_lines(result, numbers, confidence=confidence)
    assert text.count("\n") == 3  # a segment without pixels has no line
    assert made_result([], **options).to_yolo() == ""


def test_yolo_labels_of_a_model_without_names_and_no_prompts() -> None:
    result = made_result(MASKS[:2], class_names=("object",), class_agnostic=True)
    assert [line.split()[0] for line in result.to_yolo().splitlines()] == ["0", "0"]


def test_a_summary_has_the_keys_of_ultralytics_and_ours_beside() -> None:
    result = _made()
    summary = result.summary()
    assert json.loads(json.dumps(summary)) == summary
    assert [set(each) - SUMMARY for each in summary] == [
        {"track_id", "prompt", "similarity"}, set(), {"track_id", "prompt", "similarity"}, {"prompt", "similarity"},
    ]  # fmt: skip
    assert all(set(each) >= SUMMARY for each in summary)
    assert [each["name"] for each in summary] == ["cat", "dog", "bird", "dog"]
    assert [each["class"] for each in summary] == [0, 1, 2, 1]
    assert [each["confidence"] for each in summary] == [0.9, 0.76667, 0.63333, 0.5]
    assert [list(each["box"].values()) for each in summary] == result.boxes.tolist()
    assert list(summary[0]["box"]) == ["x1", "y1", "x2", "y2"]
    assert summary[3]["segments"] == {"x": [], "y": []}
    for each, mask in zip(summary[:3], MASKS[:3], strict=True):
        rows, columns = np.nonzero(mask)
        x, y = each["segments"]["x"], each["segments"]["y"]
        assert (min(x), max(x), min(y), max(y)) == (columns.min(), columns.max(), rows.min(), rows.max())


def test_a_summary_can_be_normalised() -> None:
    result = _made()
    plain: list[Any] = list(result.summary())
    normal: list[Any] = list(result.summary(normalize=True, decimals=3))
    for each, other in zip(plain, normal, strict=True):
        for axis, side in (("x", 80), ("y", 60)):
            for end in "12":
                assert other["box"][axis + end] == round(each["box"][axis + end] / side, 3)
            found = np.array(each["segments"][axis]) / side
            np.testing.assert_allclose(other["segments"][axis], found, atol=6e-4)
    assert normal[0]["confidence"] == 0.9


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"class_agnostic": True, "class_names": ("object",) * 3}, ["a pet", "object", "a bird", "a pet"]),
        ({"class_names": ()}, ["a pet", "object", "a bird", "a pet"]),
    ],
)
def test_names_in_a_summary_without_class_names(options: dict[str, Any], names: list[str]) -> None:
    assert [each["name"] for each in _made(**options).summary()] == names


def test_summaries_are_those_of_ultralytics(export_extra: None) -> None:
    """The same boxes and masks in their class and in ours."""
    import torch
    from ultralytics.engine.results import Results

    result = made_result(MASKS[:1], class_ids=[1])
    boxes = torch.tensor([[*result.boxes[0].tolist(), float(result.scores[0]), 1.0]])
    masks = torch.from_numpy(np.stack(MASKS[:1])).float()
    theirs = Results(result.frame, "a.jpg", dict(enumerate(result.class_names)), boxes, masks)
    for normalize in (False, True):
        expected: dict[str, Any] = theirs.summary(normalize=normalize)[0]
        found: dict[str, Any] = {**result.summary(normalize=normalize)[0]}
        assert found.keys() == expected.keys()
        for key in ("name", "class", "confidence", "box"):
            assert found[key] == expected[key]
        for axis in "xy":
            ours, other = found["segments"][axis], expected["segments"][axis]
            assert (min(ours), max(ours)) == pytest.approx((min(other), max(other)), abs=1e-4)


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (made_result([]), "0 segments"),
        (made_result([], prompts=("car", "bus")), "0 segments: 0 car, 0 bus"),
        (made_result(MASKS[:1]), "1 segment: 1 cat"),
        (made_result(MASKS[:3], class_ids=[0, 1, 0]), "3 segments: 2 cat, 1 dog"),
        (made_result(MASKS[:3], class_names=()), "3 segments"),
        (_made(), "4 segments: 2 a pet, 1 a bird, 1 dog"),
        (_made(class_names=()), "4 segments: 2 a pet, 1 a bird, 1 object"),
        (
            made_result([], prompts=tuple("abcdefgh")),
            "0 segments: 0 a, 0 b, 0 c, 0 d, 0 e, 0 f, ...",
        ),
    ],
)
def test_what_a_result_says_of_itself(made: Result, text: str) -> None:
    assert repr(made) == f"<Result 80 x 60 px, {text}>"


def test_all_conversions_of_a_pipeline_agree() -> None:
    with Pipeline("colours", prompts=["red", "green"]) as pipe:
        result = pipe(scene(("red", 1, 1), ("green", 1, 5), ("blue", 5, 1)))
    labels = [str(label) for label in result.labels]
    assert repr(result) == "<Result 256 x 256 px, 2 segments: 1 red, 1 green>"
    assert [each["label"] for each in result.to_dict()["segments"]] == labels
    assert [each["name"] for each in result.summary()] == labels
    assert [each["category_id"] for each in result.to_coco()] == result.class_ids.tolist()
    assert [int(line.split()[0]) for line in result.to_yolo().splitlines()] == result.class_ids.tolist()
