"""Cut graphs give the results of their dense graph: same detections, boxes, masks and selections."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fastsam_trt import Pipeline
from fastsam_trt.segmentation.segmenter import Segmenter
from fastsam_trt.sparse.crossing import COMPUTE_NAMES
from support.sparse_models import Model, counted_runs, frame, same_result, same_segments

SIZES = [(180, 320), (305, 171), (240, 240), (40, 300), (7, 9)]


@pytest.mark.parametrize("compute", COMPUTE_NAMES)
def test_segments_of_frames_of_many_sizes(any_model: Model, backend: str, compute: Any) -> None:
    options: dict[str, Any] = {"backend": backend, "precision": "fp32", "imgsz": 192}
    dense, cut = Segmenter(any_model.dense, **options), Segmenter(any_model.cut, compute=compute, **options)
    counts = []
    for seed, size in enumerate(SIZES[: None if backend == "onnxruntime" else 1]):
        picture = frame(seed, 400, 400)[: size[0], : size[1]] if min(size) < 64 else frame(seed, *size)
        expected = dense.segment(picture)
        same_segments(cut.segment(picture), expected)
        counts.append(len(expected))
    assert max(counts) > 20


@pytest.mark.parametrize("imgsz", [16, 32, (16, 96)])
def test_levels_of_one_to_four_cells(any_model: Model, imgsz: Any) -> None:
    options: dict[str, Any] = {"imgsz": imgsz, "conf": 0.01, "backend": "onnxruntime"}
    dense, cut = Segmenter(any_model.dense, **options), Segmenter(any_model.cut, compute="sparse", **options)
    for size in ((16, 16), (60, 60), (30, 200)):
        picture = np.ascontiguousarray(frame(1, 300, 300)[: size[0], : size[1]])
        expected = dense.segment(picture)
        assert len(expected)
        same_segments(cut.segment(picture), expected)


CHANGES: list[dict[str, Any]] = [
    {"conf": 0.0}, {"conf": 1.0}, {"conf": 0.9}, {"max_segments": 1}, {"iou": 0.0}, {"iou": 1.0},
    {"agnostic_nms": True}, {"classes": (0,)}, {"classes": ()}, {"conf": 0.0, "iou": 0.0, "max_segments": 7},
    {"agnostic_nms": True, "iou": 0.2, "classes": (0,)},
]  # fmt: skip


def test_thresholds(any_model: Model) -> None:
    dense, cut = Segmenter(any_model.dense, backend="onnxruntime"), Segmenter(any_model.cut, backend="onnxruntime")
    picture = frame(2, 96, 96)
    for change in CHANGES:
        thresholds = replace(dense.thresholds, **change)
        expected = dense.segment(picture, thresholds)
        assert bool(len(expected)) is (change not in ({"conf": 1.0}, {"classes": ()}))
        same_segments(cut.segment(picture, thresholds), expected)


CALLS: list[dict[str, Any]] = [
    {},
    {"boxes": [[60, 40, 200, 150]]},
    {"points": [[100, 90], [250, 60]]},
    {"points": [[100, 90]], "point_labels": [0]},
    {"prompts": ["class 0", "class 2"], "points": [[100, 90]], "point_labels": [0]},
    {"prompts": ["class 1"], "boxes": [[60, 40, 200, 150]]},
    {"prompts": ["class 0"], "excluded": ["class 1"]},
    {"excluded": ["class 0"]},
    {"prompts": ["class 2"], "max_selected": 2},
    {"prompts": ["class 2"], "classes": ["class 1", "class 2"]},
    {"prompts": ["class 2", "class 0"], "max_segments": 5},
    {"prompts": ["class 2"], "max_segments": 5},
    {"prompts": ["class 2"], "iou": 0.2, "conf": 0.1},
    {"prompts": ["a red thing"], "threshold": 0.3},
    {"prompts": ["class 0"], "excluded": ["a red thing"]},
]


@pytest.mark.parametrize("kind", ["nms", "end2end"])
def test_prompts_of_calls(model_of: Any, kind: str) -> None:
    options: dict[str, Any] = {"imgsz": 192, "backend": "onnxruntime", "conf": 0.3, "clip": "clip-colours"}
    model = model_of(kind)
    dense, cut = Pipeline(model.dense, **options), Pipeline(model.cut, **options)
    for seed, call in enumerate(CALLS):
        picture = frame(seed)
        expected = dense(picture, **call)
        assert len(expected.segments) >= 5
        same_result(cut(picture, **call), expected)


@pytest.mark.parametrize(
    "options",
    [
        {"prompts": ["class 2"], "agnostic_nms": True},
        {"prompts": ["a red thing"], "clip": "clip-colours", "threshold": 0.3, "crop": "masked"},
        {"prompts": ["a red circle", "class 1"], "clip": "demo-clip", "crop": "masked", "max_segments": 6},
    ],
)
def test_options_of_pipelines(model: Model, options: dict[str, Any]) -> None:
    options = {"imgsz": 192, "backend": "onnxruntime", **options}
    dense, cut = Pipeline(model.dense, **options), Pipeline(model.cut, **options)
    for seed in range(2):
        same_result(cut(frame(seed)), dense(frame(seed)))


def test_a_frame_without_detections_runs_no_head(any_model: Model) -> None:
    pipe = Pipeline(any_model.cut, conf=1.0)
    with counted_runs(pipe) as runs:
        result = pipe(frame())
        assert result.masks().shape == (0, 180, 320)
        assert result.segments.masks.decode([]) == []
    assert runs == {"segment": 1}
