"""Warming up runs every part of a model once, for the sizes to come, and changes nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastsam_engine.errors import ClosedError
from fastsam_engine.session import Session
from fastsam_trt import Pipeline
from fastsam_trt.errors import OptionError
from fastsam_trt.masks.batch_ladder import LADDER
from support.colour_models import scene

SHAPES = (("red", 1, 1), ("green", 1, 5), ("blue", 5, 1))


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[int, ...]]]:
    """The file of each graph that runs, and the shape of its first input."""
    seen: list[tuple[str, tuple[int, ...]]] = []
    real = Session.run_kept

    def run_kept(self: Session, inputs: Any, keep: Any) -> Any:
        seen.append((self.path.name, tuple(next(iter(inputs.values())).shape)))
        return real(self, inputs, keep)

    monkeypatch.setattr(Session, "run_kept", run_kept)
    return seen


def _shapes(runs: list[tuple[str, tuple[int, ...]]], file: str) -> set[tuple[int, ...]]:
    return {shape for name, shape in runs if name == file}


def test_every_graph_of_a_cut_model_runs(runs: list[tuple[str, tuple[int, ...]]]) -> None:
    with Pipeline("demo-seg") as pipe:
        pipe.warmup()
    assert {name for name, _ in runs} == {"demo-seg.onnx", "demo-seg.heads.onnx", "demo-seg.masks.onnx"}


def test_the_sizes_of_the_input_are_those_of_the_calls(runs: list[tuple[str, tuple[int, ...]]]) -> None:
    frames = [np.zeros(shape, np.uint8) for shape in ((256, 256, 3), (96, 256, 3), (512, 128, 3))]
    with Pipeline("colours", backend="onnxruntime") as pipe:
        for rectangle in ("common", "smallest"):
            runs.clear()
            pipe.warmup(*[frame.shape[:2] for frame in frames], rectangle=rectangle)
            warm = _shapes(runs, "colours.onnx")
            runs.clear()
            for frame in frames:
                pipe(frame, rectangle=rectangle)
            assert _shapes(runs, "colours.onnx") == warm
        pipe.track = True
        runs.clear()
        pipe.warmup(frames[1].shape)
        assert _shapes(runs, "colours.onnx") == {(1, 3, 96, 256)}  # tracked frames have the smallest rectangle


def test_clip_runs_in_every_batch_size_if_a_prompt_needs_it(runs: list[tuple[str, tuple[int, ...]]]) -> None:
    with Pipeline("things", clip="clip-colours", prompts=["a red shape"]) as pipe:
        pipe.warmup((256, 256))
        assert {shape[0] for shape in _shapes(runs, "clip-colours.image.onnx")} == set(LADDER)
    runs.clear()
    with Pipeline("colours", clip="clip-colours", prompts=["red"]) as pipe:
        pipe.warmup((256, 256))
        assert pipe.clip is None
    assert not _shapes(runs, "clip-colours.image.onnx")


def test_tracks_prompts_and_thresholds_do_not_change() -> None:
    frame = scene(*SHAPES)
    with Pipeline("colours", track=True, prompts=["red"], conf=0.6) as pipe, Pipeline("colours", track=True) as other:
        before, thresholds = pipe(frame), pipe.segmenter.thresholds
        pipe.warmup((256, 256))
        assert pipe.prompts == ("red",)
        assert pipe.segmenter.thresholds is thresholds
        assert pipe(frame).track_ids.tolist() == before.track_ids.tolist()
        other.warmup((256, 256))
        assert sorted(other(frame).segments.track_ids) == sorted(before.segments.track_ids)


def test_a_model_that_finds_nothing_is_warmed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with Pipeline("colours", classes=["red"]) as pipe:
        monkeypatch.setattr("fastsam_trt.pipeline.warm_up._noise", lambda size: np.full((*size, 3), 114, np.uint8))
        pipe.warmup((64, 64))
        assert pipe(scene(*SHAPES)).labels == ["red"]


@pytest.mark.parametrize("size", [(0, 5), (5,), (1, 2, 3, 4), (2.5, 3), "ab", 640, (-1, 5), None, ("a", "b")])
def test_sizes_that_are_none_are_refused(size: Any) -> None:
    with (
        Pipeline("colours") as pipe,
        pytest.raises(OptionError, match=r"sizes: expected \(height, width\) of frames, px"),
    ):
        pipe.warmup((64, 64), size)


def test_numpy_integers_are_sizes() -> None:
    with Pipeline("colours") as pipe:
        pipe.warmup(tuple(np.array([64, 96])))


def test_a_closed_pipeline_is_not_warmed_up() -> None:
    pipe = Pipeline("colours")
    pipe.close()
    with pytest.raises(ClosedError):
        pipe.warmup()
