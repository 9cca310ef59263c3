"""Limits on segments: classes by name, class-agnostic NMS, and the best of a selection."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from fastsam_trt import Pipeline
from fastsam_trt.cli.main import main
from fastsam_trt.errors import OptionError, PromptError
from fastsam_trt.selectors import Selection
from support.colour_models import CELL_PX, scene

SHAPES = (("red", 1, 1), ("green", 1, 5), ("blue", 5, 1), ("red", 5, 5))


def _frame() -> np.ndarray:
    """Four squares, the later ones of a paler colour, so that their scores fall."""
    frame = scene(*SHAPES).astype(np.int16)
    for paler, (_, row, column) in enumerate(SHAPES):
        y, x = row * CELL_PX, column * CELL_PX
        frame[y - 16 : y + 48, x - 16 : x + 48] += (128 - frame[y - 16 : y + 48, x - 16 : x + 48]) * paler // 12
    return frame.astype(np.uint8)


def _labels(**options: object) -> list[str | None]:
    return Pipeline("colours", **options)(_frame()).labels


def test_the_best_of_everything() -> None:
    assert _labels() == ["red", "green", "blue", "red"]
    for most in (1, 2, 3, 4, 5):
        assert _labels(max_selected=most) == ["red", "green", "blue", "red"][:most]


def test_max_selected_applies_after_the_prompt() -> None:
    assert _labels(prompts=["blue"], max_segments=2) == []  # the two best segments have other colours
    assert _labels(prompts=["blue"], max_selected=2) == ["blue"]
    assert _labels(prompts=["blue", "red"], max_selected=2) == ["red", "blue"]  # over all prompts together
    assert _labels(excluded=["red"], max_selected=1) == ["green"]
    assert _labels(boxes=[[130, 130, 230, 230]], points=[[48, 176]], max_selected=1) == ["blue"]
    result = Pipeline("colours", prompts=["reds"], max_selected=1)(_frame())
    assert (len(result), len(result.segments)) == (1, 4)
    assert len(result.masks()) == 1


def test_clip_selections_are_limited_by_similarity_and_rank_after_labels() -> None:
    frame = _frame()
    every = Pipeline("colours", clip="clip-colours", prompts=["a blue green shape", "red"], threshold=0)
    found = every(frame)
    assert found.labels == ["red", "green", "blue", "red"]
    ranking = every.rank(found)
    for most in (1, 2, 3, 4):
        every.max_selected = most
        kept = every(frame)
        assert set(kept.selection.indices.tolist()) == set(ranking.indices[:most].tolist())
        assert kept.selection.indices.tolist() == sorted(kept.selection.indices.tolist())  # best score first, as always
    every.max_selected = None
    assert len(every(frame)) == 4


def test_max_selected_applies_to_every_tracked_frame() -> None:
    pipe = Pipeline("colours", prompts=["red"], track=True, max_selected=1)
    results = [pipe(_frame()) for _ in range(3)]
    assert [result.labels for result in results] == [["red"]] * 3
    assert len({result.track_ids.tolist()[0] for result in results}) == 1


def test_pending_tracks_stay_pending() -> None:
    nothing = np.nan
    selection = Selection(
        np.array([0, 2, 3, 5]), np.array([1, 0, 0, 1], np.int32), np.array([0.6, nothing, nothing, 0.9], np.float32),
        np.array([1, 4]),
    )  # fmt: skip
    scores = np.array([0.9, 0.8, 0.5, 0.7, 0.3, 0.1], np.float32)
    for most, indices in ((1, [3]), (2, [2, 3]), (3, [2, 3, 5]), (4, [0, 2, 3, 5]), (9, [0, 2, 3, 5])):
        kept = selection.best(scores, most)
        assert kept.indices.tolist() == indices
        assert kept.pending.tolist() == [1, 4]
    assert selection.best(scores, 3).prompt_ids.tolist() == [0, 0, 1]


@pytest.mark.parametrize("most", [0, -1, 1.5, "2"])
def test_invalid_limits_are_refused(most: object) -> None:
    with pytest.raises(OptionError, match="max_selected: expected a whole number of 1 or more"):
        Pipeline("colours", max_selected=most)
    pipe = Pipeline("colours", max_selected=2)
    with pytest.raises(OptionError, match="max_selected"):
        pipe.max_selected = most
    assert pipe.max_selected == 2


@pytest.mark.parametrize(
    ("classes", "labels"),
    [
        (["Reds", 2], ["red", "blue", "red"]),
        ("green", ["green"]),
        (["green,blue"], ["green", "blue"]),
        ([1], ["green"]),
    ],
)
def test_classes_are_given_by_id_or_name(classes: object, labels: list[str]) -> None:
    assert _labels(classes=classes) == labels


def test_prompts_for_excluded_classes_are_refused() -> None:
    for prompts in (["red"], ["green", "reds"]):
        with pytest.raises(PromptError, match="expected prompts for the selected classes, found 'red"):
            Pipeline("colours", classes=["green"], prompts=prompts)
    assert _labels(classes=["green"], prompts=["green"], excluded=["red"]) == ["green"]
    pipe = Pipeline("colours", classes=["green"], clip="clip-colours", prompts=["a green shape"])
    assert pipe(_frame()).labels == ["green"]


def test_agnostic_nms_removes_boxes_across_classes() -> None:
    """Boxes of neighbouring cells have an IoU of a third; OpenCV's NMS is the reference."""
    frame = scene()
    for colour, column in (((0, 0, 255), 2), ((0, 245, 0), 3), ((235, 0, 0), 4), ((0, 0, 225), 5)):
        frame[64:96, column * CELL_PX : (column + 1) * CELL_PX] = colour
    every = Pipeline("colours", iou=1)(frame)
    corners = np.concatenate([every.boxes[:, :2], every.boxes[:, 2:] - every.boxes[:, :2]], axis=1)
    expected = np.ravel(cv2.dnn.NMSBoxes(corners.tolist(), every.scores.tolist(), 0.0, 0.3))
    found = Pipeline("colours", iou=0.3, agnostic_nms=True)(frame)
    np.testing.assert_array_equal(found.boxes, every.boxes[np.sort(expected)])
    assert found.labels == ["red", "blue"]
    assert sorted(filter(None, Pipeline("colours", iou=0.3)(frame).labels)) == ["blue", "green", "red", "red"]


def test_options_of_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo, lines = tmp_path / "photo.png", tmp_path / "out.jsonl"
    cv2.imwrite(str(photo), _frame())
    request = ["run", "--source", str(photo), "--model", "colours", "--json", str(lines)]

    def labels(arguments: str) -> list[str]:
        assert main([*request, *arguments.split()]) == 0
        return [segment["label"] for segment in json.loads(lines.read_text())["segments"]]

    assert labels("--max-selected 2") == ["red", "green"]
    assert labels("--prompt blue --max-selected 2") == ["blue"]
    assert labels("--classes 0 2") == ["red", "blue", "red"]
    assert labels("--classes blue Green") == labels("--classes 1,blue") == ["green", "blue"]
    assert labels("--agnostic-nms --iou 0") == ["red", "green", "blue", "red"]
    capsys.readouterr()
    for arguments, message in (
        ("--max-selected 0", "max_selected: expected a whole number of 1 or more, found 0"),
        ("--classes gren", "found 'gren'; did you mean 'green'"),
        ("--classes 3", "classes: expected ids from 0 to 2, found 3"),
        ("--prompt bleu", "did you mean 'blue'? expected the CLIP model"),
        ("--prompt ...", "expected a prompt with a letter, digit or symbol"),
    ):
        assert main([*request, *arguments.split()]) == 2
        assert message in capsys.readouterr().err
