"""Releasing a result: what stays readable, what raises, and that the memory is gone."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from fastsam_trt import Pipeline, Result
from fastsam_trt.errors import ReleasedError
from fastsam_trt.sources.demo_video import DemoVideo
from support.colour_models import scene
from support.made_results import hard_masks, made_result
from support.typed import present

MASKS = [hard_masks()[name] for name in ("disc", "ring", "parts")]
FRAME = scene(("red", 1, 1), ("green", 1, 5), ("blue", 5, 1))


def _made(**options: Any) -> Result:
    return made_result(MASKS, prompts=("a pet",), prompt_ids=[0, -1, 0], similarities=[0.9, np.nan, 0.7], **options)


def test_arrays_stay_readable() -> None:
    kept, result = _made(pending=(2,)), _made(pending=(2,))
    assert not result.released
    result.release()
    result.release()
    assert result.released
    for name in ("boxes", "scores", "class_ids", "prompt_ids", "similarities", "track_ids", "pending_tracks"):
        np.testing.assert_array_equal(getattr(result, name), getattr(kept, name))
    for name in ("size", "labels", "display_names", "prompts", "speed", "class_names", "crops_embedded"):
        assert getattr(result, name) == getattr(kept, name)
    assert len(result) == 3
    assert [segment.box.tolist() for segment in result] == kept.boxes.tolist()
    assert result[result.scores > 0.6].labels == kept[kept.scores > 0.6].labels
    assert result.to_dict(masks=False) == kept.to_dict(masks=False)
    assert repr(result) == repr(kept)[:-1] + "; released>"


@pytest.mark.parametrize("read", [Result.mask_crops, Result.masks, Result.rle, Result.to_dict, Result.to_yolo, list])
def test_masks_stay_if_they_were_decoded(read: Callable[[Result], object]) -> None:
    result = _made()
    if read is list:
        _ = [segment.mask for segment in result]
    else:
        read(result)
    result.release()
    np.testing.assert_array_equal(result.masks(), MASKS)
    np.testing.assert_array_equal(result[1].mask, MASKS[1])
    np.testing.assert_array_equal(result[1:].masks(), MASKS[1:])
    assert len(result.to_coco()) == len(result.rle()) == len(result.polygons()) == len(result.summary()) == 3
    assert result.to_yolo().count("\n") == 3
    with pytest.raises(ReleasedError, match="expected the frame of a result, found it released"):
        result.cutouts()


@pytest.mark.parametrize(
    ("read", "what"),
    [
        (lambda result: result.frame, "the frame"),
        (lambda result: result.cutouts(), "the frame"),
        (lambda result: result.plot(draw="boxes"), "the frame"),
        (lambda result: result.masks(), "masks"),
        (lambda result: result.mask_crops(), "masks"),
        (lambda result: result.rle(), "masks"),
        (lambda result: result.polygons(), "masks"),
        (lambda result: result.to_dict(), "masks"),
        (lambda result: result.to_coco(), "masks"),
        (lambda result: result.to_yolo(), "masks"),
        (lambda result: result.summary(), "masks"),
        (lambda result: result.segments, "all segments"),
        (lambda result: result.selection, "all segments"),
        (lambda result: result.pending, "all segments"),
        (lambda result: result[0].mask, "masks"),
        (lambda result: next(iter(result)).mask_crop, "masks"),
        (lambda result: result[:2].masks(), "masks"),
        (lambda result: result[0].cutout, "masks"),
    ],
)
def test_what_is_gone_is_an_error_that_says_what_to_do(read: Callable[[Result], object], what: str) -> None:
    result = _made(pending=(1,))
    result.release()
    for each in (result, copy.copy(result), copy.deepcopy(result), pickle.loads(pickle.dumps(result))):
        with pytest.raises(ReleasedError, match=rf"expected {what} of a result, found it released; \w.*release\(\)"):
            read(each)
        with pytest.raises(RuntimeError):
            read(each)


def test_a_result_without_segments_or_pending_ones() -> None:
    result = made_result([])
    result.release()
    assert result.masks().shape == (0, 60, 80)
    assert result.pending.tolist() == result.rle() == []
    assert result.to_dict()["segments"] == []


def test_a_notebook_shows_the_text_of_a_released_result() -> None:
    result = _made()
    assert present(result._repr_png_()).startswith(b"\x89PNG")
    result.release()
    assert result._repr_png_() is None


def test_segments_are_views_and_selections_keep_the_frame() -> None:
    result = _made()
    segment, taken = result[0], result[[0, 2]]
    result.release()
    with pytest.raises(ReleasedError):
        _ = segment.mask
    np.testing.assert_array_equal(taken.masks(), [MASKS[0], MASKS[2]])
    assert taken.frame.shape == (60, 80, 3)
    assert not taken.released


@pytest.mark.parametrize("decode", [False, True])
def test_the_frame_and_the_prototypes_are_freed(decode: bool) -> None:
    frame = FRAME.copy()
    with Pipeline("colours", prompts=["red", "blue"]) as pipe:
        result = pipe(frame)
        if decode:
            result.masks()
        gone: list[weakref.ref[Any]] = [weakref.ref(frame), weakref.ref(result.segments.masks)]
        del frame
        gc.collect()
        assert all(each() is not None for each in gone)
        result.release()
        gc.collect()
        assert [each() for each in gone] == [None, None]
        assert len(result.boxes) == 2


def test_the_remainder_of_a_cut_model_is_freed() -> None:
    with Pipeline("demo-seg", prompts=["red circle"]) as pipe, Pipeline("demo-seg") as every:
        frame = DemoVideo().scene(0).frame
        for each in (pipe, every):
            result = each(frame)
            masks = weakref.ref(result._found[0].masks)
            result.release()
            gc.collect()
            assert masks() is None
            assert len(result.boxes)


def test_a_released_result_is_small() -> None:
    with Pipeline("colours") as pipe:
        result = pipe(FRAME)
    whole = len(pickle.dumps(result))
    result.release()
    assert len(pickle.dumps(result)) < 4000 < whole


def test_ranking_needs_the_frame() -> None:
    with Pipeline("colours", prompts=["red"]) as pipe:
        result = pipe(FRAME)
        result.release()
        with pytest.raises(ReleasedError):
            pipe.rank(result)


def test_threads_that_read_while_it_is_released_get_all_or_the_error() -> None:
    with Pipeline("colours") as pipe:
        for _ in range(20):
            result = pipe(FRAME)
            expected = pipe(FRAME).masks()
            begin = threading.Barrier(5)

            def read(_: int, result: Result = result, begin: threading.Barrier = begin) -> np.ndarray | None:
                begin.wait()
                try:
                    return result.masks()
                except ReleasedError:
                    return None

            with ThreadPoolExecutor(4) as pool:
                found = pool.map(read, range(4))
                begin.wait()
                result.release()
                for masks in found:
                    assert masks is None or np.array_equal(masks, expected)
