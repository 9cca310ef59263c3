"""Results outlive their pipeline, do not fill the memory, and wait for nothing that waits for them."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastsam_trt import Pipeline
from fastsam_trt.masks.kept_masks import KeptMasks
from fastsam_trt.results.result import Result
from fastsam_trt.segmentation.remainder import Remainder
from fastsam_trt.sparse.box_head import BoxHead
from fastsam_trt.sparse.mask_head import MaskHead
from fastsam_trt.sparse.masks import SparseMasks
from support.sparse_models import Model, counted_runs, frame, same_result, sparse_decoder

PROMPTS: list[list[str]] = [[], ["class 2"]]


def _pipeline(path: Path, **options: Any) -> Pipeline:
    return Pipeline(path, backend="onnxruntime", imgsz=192, conf=0.3, **options)


def _kept(pipe: Pipeline) -> list[Any]:
    return list(sparse_decoder(pipe.segmenter).earlier)


@pytest.mark.parametrize("prompts", PROMPTS)
@pytest.mark.parametrize(
    "after",
    [
        lambda pipe, result: (pipe.close(), result)[1],
        lambda _, result: pickle.loads(pickle.dumps(result)),
        lambda _, result: copy.deepcopy(result),
        lambda _, result: copy.copy(result),
        lambda pipe, result: (pipe.close(), copy.deepcopy(result), pipe.close())[1],
    ],
    ids=["close", "pickle", "deepcopy", "copy", "close and copy"],
)
def test_masks_can_be_decoded_later(
    model: Model, prompts: list[str], after: Callable[[Pipeline, Result], Result]
) -> None:
    expected = _pipeline(model.dense, prompts=prompts)(frame())
    pipe = _pipeline(model.cut, prompts=prompts)
    same_result(after(pipe, pipe(frame())), expected)


@pytest.mark.parametrize("prompts", PROMPTS)
def test_results_are_complete_when_their_pipeline_is_gone(model: Model, prompts: list[str]) -> None:
    expected = _pipeline(model.dense, prompts=prompts)(frame())
    pipe = _pipeline(model.cut, prompts=prompts)
    result, gone = pipe(frame()), weakref.ref(pipe.segmenter)
    del pipe
    gc.collect()
    assert gone() is None
    same_result(result, expected)


@pytest.mark.parametrize("prompts", PROMPTS)
def test_kept_results_keep_a_bounded_number_of_features(model: Model, prompts: list[str]) -> None:
    pipe, dense = _pipeline(model.cut, prompts=prompts), _pipeline(model.dense, prompts=prompts)
    first = pipe(frame(0))
    per_frame = max(each.kept_bytes for each in _kept(pipe))
    assert per_frame > 0
    sparse_decoder(pipe.segmenter).max_feature_bytes = 4 * per_frame
    with counted_runs(pipe) as runs:
        results = [first, *(pipe(frame(seed)) for seed in range(1, 12))]
    latest = 2 if prompts else 1  # of the latest frame, the masks and the remainder
    assert sum(each.kept_bytes for each in _kept(pipe)) <= (4 + latest) * per_frame
    moved = 11 - 4 // latest
    assert runs["masks"] in (moved * latest, moved * latest + 1)  # one of two of the oldest frame may still be kept
    for seed, result in enumerate(results):
        same_result(result, dense(frame(seed)))


@pytest.mark.parametrize("prompts", PROMPTS)
@pytest.mark.parametrize(
    "use",
    [
        lambda _: None,
        lambda result: result.masks(),
        lambda result: result.segments.masks.decode([0]),
        pickle.dumps,
        copy.copy,
    ],
)
def test_dropped_results_free_their_features(model: Model, prompts: list[str], use: Callable[[Result], object]) -> None:
    pipe = _pipeline(model.cut, prompts=prompts)
    gc.disable()
    try:
        result = pipe(frame())
        (masks, *_) = [each for each in _kept(pipe) if isinstance(each, SparseMasks)]
        assert masks._features is not None
        maps = [weakref.ref(each) for each in masks._features.maps.values()]
        del masks
        use(result)
        del result
        assert [each() for each in maps] == [None] * len(maps)
        assert _kept(pipe) == []
    finally:
        gc.enable()


def test_results_that_nobody_keeps_cost_no_runs(model: Model) -> None:
    pipe = _pipeline(model.cut, prompts=["class 2"])
    sparse_decoder(pipe.segmenter).max_feature_bytes = 1
    with counted_runs(pipe) as runs:
        for seed in range(4):
            pipe(frame(seed))
    assert runs == {"segment": 4, "heads": 4}


@pytest.mark.parametrize("move", [KeptMasks.close, lambda kept: kept.detach(0)])
def test_moving_masks_does_not_wait_for_a_thread_that_waits_for_it(move: Callable[[KeptMasks], None]) -> None:
    """A remainder that one thread computes adds masks, while another thread moves the remainder."""
    kept, computing, go_on = KeptMasks(), threading.Event(), threading.Event()
    later = Remainder(lambda: ("later", np.arange(1)), 1)

    def compute() -> tuple[str, np.ndarray]:
        computing.set()
        assert go_on.wait(60)
        kept.add(later)
        return "all", np.arange(1)

    remainders = [Remainder(compute, 1), Remainder(lambda: ("latest", np.arange(1)), 1)]
    for each in remainders:
        kept.add(each)
    threads = [threading.Thread(target=work, daemon=True) for work in (remainders[0].all, lambda: move(kept))]
    threads[0].start()
    assert computing.wait(60)
    threads[1].start()
    time.sleep(0.1)
    go_on.set()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert remainders[0].kept_bytes == 0


def test_closing_inside_a_run_of_the_masks(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a signal handler does, on the same thread."""
    expected = _pipeline(model.dense)(frame())
    pipe, real, closed = _pipeline(model.cut), MaskHead.run, []

    def run(self: MaskHead, *args: Any) -> Any:
        if not closed:
            closed.append(1)
            pipe.close()
        return real(self, *args)

    monkeypatch.setattr(MaskHead, "run", run)
    for use in (lambda result: result.mask_crops(), pickle.dumps):
        result = pipe(frame())
        use(result)
        same_result(result, expected)
        pipe = _pipeline(model.cut)
        closed.clear()


def test_closing_inside_a_run_of_the_heads(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = _pipeline(model.dense, prompts=["class 2"])(frame())
    pipe, real, closed = _pipeline(model.cut, prompts=["class 2"]), BoxHead.boxes, []
    result = pipe(frame())

    def boxes(self: BoxHead, *args: Any) -> Any:
        if not closed:
            closed.append(1)
            pipe.close()
        return real(self, *args)

    monkeypatch.setattr(BoxHead, "boxes", boxes)
    assert len(result.segments) == len(expected.segments)
    same_result(result, expected)
