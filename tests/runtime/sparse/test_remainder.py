"""Label prompts compute the segments of their classes; all others when somebody asks for them, and then exactly."""

from __future__ import annotations

import copy
import gc
import json
import pickle
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fastsam_trt import Pipeline
from fastsam_trt.cli.main import main
from fastsam_trt.results.panels import draw_panels
from fastsam_trt.results.result import Result
from fastsam_trt.segmentation.remainder import Remainder
from fastsam_trt.sinks.json_lines import as_record
from fastsam_trt.sources.frame import Frame
from support.sparse_models import Model, counted_runs, frame, same_result
from support.typed import picture

PROMPT = "class 2"


def _pipeline(path: Path, **options: Any) -> Pipeline:
    return Pipeline(path, backend="onnxruntime", imgsz=192, conf=0.3, **options)


def _read_selected(result: Result) -> None:
    """Read everything that is known without the other segments."""
    assert len(result) > 2
    assert not len(result.pending)
    assert set(result.labels) == {PROMPT}
    for each in (result.boxes, result.scores, result.class_ids, result.prompt_ids, result.similarities,
                 result.track_ids, result.masks(), result.rle(), result.polygons(), result.cutouts()):  # fmt: skip
        assert len(each) == len(result)
    record = as_record(Frame(result.frame, 0, "drawn"), result)
    assert len(json.loads(json.dumps(record))["segments"]) == len(result)
    assert result.plot().shape == result.frame.shape


def test_what_is_selected_is_read_without_the_other_segments(model: Model) -> None:
    pipe = _pipeline(model.cut, prompts=[PROMPT], compute="sparse")
    with counted_runs(pipe) as runs:
        result = pipe(frame())
        _read_selected(result)
    assert runs["heads"] == 1
    assert runs["masks"] >= 1
    assert result._found[0].remainder is not None


@pytest.mark.parametrize(
    "ask",
    [
        lambda result, _: result.segments,
        lambda result, _: result.selection,
        lambda result, pipe: pipe.rank(result),
        lambda result, _: draw_panels(result),
        lambda result, _: pickle.loads(pickle.dumps(result)),
        lambda result, _: copy.deepcopy(result),
        lambda _, pipe: pipe.close(),
    ],
    ids=["segments", "selection", "rank", "panels", "pickle", "deepcopy", "close"],
)
def test_the_others_are_computed_when_they_are_needed(model: Model, ask: Callable[[Result, Pipeline], object]) -> None:
    pipe = _pipeline(model.cut, prompts=[PROMPT])
    expected = _pipeline(model.dense, prompts=[PROMPT])(frame())
    assert len(expected.segments) > len(expected)
    with counted_runs(pipe) as runs:
        result = pipe(frame())
        assert runs == {"segment": 1, "heads": 1}
        answer = ask(result, pipe)
        assert runs["heads"] == 2
        result.segments.masks.decode([])
        same_result(answer if isinstance(answer, Result) else result, expected)
        same_result(result, expected)
    assert runs["heads"] == 2, "they are computed once"


def test_selection_and_rank_are_those_of_the_dense_graph(model: Model) -> None:
    options: dict[str, Any] = {"prompts": ["class 1", PROMPT], "max_selected": 4}
    cut, dense = _pipeline(model.cut, **options), _pipeline(model.dense, **options)
    for seed in range(3):
        found, expected = cut(frame(seed)), dense(frame(seed))
        np.testing.assert_array_equal(cut.rank(found).indices, dense.rank(expected).indices)
        np.testing.assert_array_equal(cut.rank(found).prompt_ids, dense.rank(expected).prompt_ids)
        same_result(found, expected)
        assert found.segments.speed_ms.keys() == expected.segments.speed_ms.keys()


def test_masks_of_all_segments_are_decoded_once(model: Model) -> None:
    pipe = _pipeline(model.cut, prompts=[PROMPT])
    result = pipe(frame())
    draw_panels(result)
    with counted_runs(pipe) as runs:
        result.segments.masks.decode(range(len(result.segments)))
        result.mask_crops()
    assert not runs


def test_a_prompt_that_is_not_in_the_picture_runs_neither_heads_nor_masks(model: Model) -> None:
    pipe = _pipeline(model.cut, prompts=[PROMPT], classes=["class 0", PROMPT], compute="sparse")
    grey = np.full((180, 320, 3), 114, np.uint8)
    everything = _pipeline(model.dense, prompts=[])(grey)
    absent = next(name for i, name in enumerate(pipe.segmenter.class_names) if i not in everything.class_ids)
    with counted_runs(pipe) as runs:
        result = pipe(grey, prompts=[absent], classes=[0, 1, 2])
        assert len(result) == len(result.masks()) == 0
        assert len(result.boxes) == len(result.rle()) == 0
        assert as_record(Frame(result.frame, 0, "drawn"), result)["segments"] == []
        assert runs == {"segment": 1}
        assert len(result.segments) == len(everything) > 0
    assert runs == {"segment": 1, "heads": 1}


def test_a_prompt_for_every_class_leaves_nothing_out(model: Model) -> None:
    result = _pipeline(model.cut, prompts=["class 0", "class 1", "class 2"])(frame())
    assert result._found[0].remainder is None


def test_tracked_streams_see_all_segments(model: Model) -> None:
    dense, cut = (_pipeline(path, prompts=[PROMPT], track=True) for path in model)
    first = frame()
    shifted = [np.roll(first, 4 * step, axis=1) for step in range(6)]
    for each in shifted:
        expected, found = dense(each), cut(each)
        assert found._found[0].remainder is None
        np.testing.assert_array_equal(found.track_ids, expected.track_ids)
        np.testing.assert_array_equal(found.segments.track_ids, expected.segments.track_ids)
        same_result(found, expected)
    assert found.track_ids.max() >= 0


def test_streams_have_the_same_track_ids(model: Model, tmp_path: Path, write_video: Any) -> None:
    first = frame()
    video = write_video(tmp_path / "video.avi", [np.roll(first, 4 * step, axis=1) for step in range(6)])
    dense, cut = ([each.track_ids.tolist() for each in _pipeline(path, prompts=[PROMPT]).stream(video)]
                  for path in model)  # fmt: skip
    assert dense == cut
    assert any(dense)


def test_the_command_writes_the_same_lines_and_panels(model: Model, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "photo.png"), frame())
    written = []
    for path in model:
        out, lines = tmp_path / f"{path.parent.name}.png", tmp_path / f"{path.parent.name}.jsonl"
        arguments = ["run", "--video", tmp_path / "photo.png", "--prompt", PROMPT, "--model", path, "--conf", "0.3",
                     "--backend", "onnxruntime", "--save", out, "--json", lines]  # fmt: skip
        assert main([str(each) for each in arguments]) == 0
        written.append((picture(out), json.loads(lines.read_text())))
    (panels, record), (other_panels, other) = written
    assert np.abs(panels.astype(int) - other_panels).max() <= 3
    assert [each["mask"] for each in record["segments"]] == [each["mask"] for each in other["segments"]]
    assert len(record["segments"]) > 2


def test_a_remainder_that_was_computed_is_freed_without_the_garbage_collector() -> None:

    remainder = Remainder(lambda: ("segments", np.arange(2)), 5)
    assert remainder.kept_bytes == 5
    assert remainder.all()[0] == remainder.all()[0] == "segments"
    assert remainder.kept_bytes == 0
    dropped = weakref.ref(remainder)
    gc.disable()
    try:
        del remainder
        assert dropped() is None
    finally:
        gc.enable()
