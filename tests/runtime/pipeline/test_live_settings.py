"""Test regions that are set together, regions outside the frame, and a threshold that changes while a pipeline runs."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from fastsam_trt import Pipeline
from fastsam_trt.errors import OptionError, PromptError
from support.colour_models import CELL_PX, scene

SHAPES = (("red", 1, 1), ("green", 1, 5))
RED, GREEN = (CELL_PX * 1.5, CELL_PX * 1.5), (CELL_PX * 5.5, CELL_PX * 1.5)
AROUND_RED = (RED[0] - 30, RED[1] - 30, RED[0] + 30, RED[1] + 30)
OUTSIDE = (9000.0, 9000.0)


@pytest.fixture
def pipe(exact_models: Path) -> Pipeline:
    return Pipeline(exact_models / "models" / "colours")


def test_regions_are_set_together(pipe: Pipeline) -> None:
    frame = scene(*SHAPES)
    pipe.set_regions([AROUND_RED], [GREEN, RED], [1, 0])
    assert pipe(frame).labels == ["green"]
    pipe.set_regions([AROUND_RED])
    assert (pipe(frame).labels, len(pipe.points), len(pipe.point_labels)) == (["red"], 0, 0)
    pipe.set_regions()
    assert sorted(filter(None, pipe(frame).labels)) == ["green", "red"]
    for points, labels in (([[1, 2, 3]], None), ([RED], [1, 1])):
        with pytest.raises(PromptError):
            pipe.set_regions([AROUND_RED], points, labels)
    with pytest.raises(PromptError, match="no area"):
        pipe.set_regions([[5, 5, 5, 9]])
    with pytest.raises(OptionError, match="outside: expected refuse or ignore"):
        pipe.set_regions([AROUND_RED], outside="clip")  # type: ignore[arg-type]
    assert len(pipe.boxes) == 0


def test_regions_outside_the_frame_are_refused_or_ignored(pipe: Pipeline) -> None:
    frame = scene(*SHAPES)
    far = (*OUTSIDE, OUTSIDE[0] + 9, OUTSIDE[1] + 9)
    for regions in ({"boxes": [far]}, {"points": [OUTSIDE]}, {"points": [OUTSIDE], "point_labels": [0]}):
        pipe.set_regions(**regions)
        with pytest.raises(PromptError, match=r"(in|with) the frame"):
            pipe(frame)
    pipe.set_regions([far, AROUND_RED], [OUTSIDE], outside="ignore")
    assert pipe(frame).labels == ["red"]
    pipe.set_regions([far], outside="ignore")
    assert len(pipe(frame)) == 0  # not everything
    pipe.set_regions(points=[OUTSIDE], point_labels=[0], outside="ignore")
    assert len(pipe(frame)) == 2
    with pytest.raises(PromptError, match="with the frame"):
        pipe(frame, boxes=[far])  # the regions of a call are refused as ever


def test_the_threshold_may_be_set_while_a_stream_runs() -> None:
    with Pipeline("demo-seg", prompts=["red thing"], selector="clip", threshold=1.0) as pipe:
        stream = pipe.stream("demo")
        first = next(stream)
        assert len(first) == 0 < len(first.segments)
        pipe.threshold = 0.0
        assert any(len(result) == len(result.segments) > 0 for result in stream)
        for wrong in (-0.1, 1.1, float("nan"), "0.5"):
            with pytest.raises(OptionError, match="threshold: expected a number from 0 to 1"):
                pipe.threshold = wrong  # type: ignore[assignment]
        pipe.prompts = ("green thing",)  # a later change keeps it
        assert (pipe.threshold, len(pipe(first.frame))) == (0.0, len(first.segments))
        stream.close()  # type: ignore[attr-defined]


def test_regions_and_threshold_are_set_by_several_threads(pipe: Pipeline) -> None:
    frame = scene(*SHAPES)
    wanted = [[AROUND_RED], [AROUND_RED, (1.0, 1.0, 5.0, 5.0)]]

    def change(boxes: list[tuple[float, ...]]) -> None:
        for _ in range(20):
            pipe.set_regions(boxes, [GREEN] * len(boxes), outside="ignore")
            pipe.threshold = 0.25

    threads = [threading.Thread(target=change, args=(boxes,)) for boxes in wanted]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert len(pipe(frame)) == 2
    assert len(pipe.boxes) == len(pipe.points)
    assert np.isclose(pipe.threshold, 0.25)
