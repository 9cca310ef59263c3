"""Seeded segmenters with dozens of detections in drawn pictures: the dense graph, and the same cut into parts."""

from __future__ import annotations

import dataclasses
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from fastsam_engine import Session, read_spec
from fastsam_engine.spec.model_input import ArraysInput
from fastsam_export.helper_graphs import decode
from fastsam_export.helper_graphs.graph_builder import GraphBuilder
from fastsam_export.sparse import split
from fastsam_trt import Pipeline
from fastsam_trt.bundled_models import locate
from fastsam_trt.demo import draw_scene
from fastsam_trt.masks.mask_source import MaskCrop
from fastsam_trt.results.result import Result
from fastsam_trt.segmentation.segmenter import Segmenter
from fastsam_trt.segmentation.segments import Segments
from fastsam_trt.segmentation.sparse_decoder import SparseDecoder
from support import cut_yolo
from support.dense_yolo import COEFFICIENTS
from support.typed import arrays_input

KINDS: Mapping[str, Mapping[str, Any]] = {
    "nms": {"seed": 0, "scales": {"cv3": (0.06, -1.2)}},
    "one-class": {"seed": 7, "classes": 1, "scales": {"cv3": (0.3, -2.2)}},
    "end2end": {"seed": 3, "end2end": True, "scales": {"cv3": (0.3, -2.2), "cv2": (0.3, 1.2)}},
}
CLASS_NAMES = ["class 0", "class 1", "class 2"]
BOX_PX = 1e-3
"""Largest difference of boxes between the dense graph and its parts."""


class Model(NamedTuple):
    """The same model as a dense graph, and cut."""

    dense: Path
    cut: Path


def save(folder: Path, kind: str) -> Model:
    """Write a dense graph and its parts, which are compared on one backend only: tests of the export do it on all."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(split, "cpu_backends", lambda: ["onnxruntime"])
        (trunk, _), *_ = cut_yolo.cut(folder, **KINDS[kind])
    return Model(folder / "dense" / trunk.name, trunk)


def frame(seed: int = 0, height: int = 180, width: int = 320) -> np.ndarray:
    """A drawn picture."""
    return draw_scene(seed, height, width).frame


def sparse_decoder(segmenter: Segmenter) -> SparseDecoder:
    """The decoder of a segmenter that was cut."""
    decoder = segmenter._decoder
    assert isinstance(decoder, SparseDecoder)
    return decoder


def same_segments(found: Segments, expected: Segments, most_pixels: int = 0) -> None:
    """Check that segments are equal, and that at most so many pixels of their masks differ."""
    assert len(found) == len(expected)
    np.testing.assert_array_equal(found.class_ids, expected.class_ids)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=BOX_PX)
    indices = range(len(found))
    pairs = zip(found.masks.decode(indices), expected.masks.decode(indices), strict=True)
    assert sum(differing(*pair) for pair in pairs) <= most_pixels


def differing(a: MaskCrop, b: MaskCrop) -> int:
    """Count the pixels of two masks that differ, where both boxes are.

    A side that lies on the edge of two pixels may, by rounding, include one more row or column in one of the boxes.
    """
    for first, second, axis in ((a.top, b.top, 0), (a.left, b.left, 1)):
        assert abs(first - second) <= 1
        assert abs(first + a.pixels.shape[axis] - second - b.pixels.shape[axis]) <= 1
    top, left = max(a.top, b.top), max(a.left, b.left)
    bottom, right = (min(each[axis] + each.pixels.shape[1 - axis] for each in (a, b)) for axis in (1, 0))
    parts = (each.pixels[top - each.top : bottom - each.top, left - each.left : right - each.left] for each in (a, b))
    return int(np.count_nonzero(np.not_equal(*parts)))


def same_result(found: Result, expected: Result, most_pixels: int = 0) -> None:
    """Check that results and everything in them are equal."""
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=BOX_PX)
    np.testing.assert_array_equal(found.prompt_ids, expected.prompt_ids)
    np.testing.assert_allclose(found.similarities, expected.similarities, atol=1e-4)
    pairs = zip(found.mask_crops(), expected.mask_crops(), strict=True)
    assert sum(differing(*pair) for pair in pairs) <= most_pixels
    same_segments(found.segments, expected.segments, most_pixels)
    np.testing.assert_array_equal(found.selection.indices, expected.selection.indices)


@contextmanager
def counted_runs(pipe: Pipeline) -> Iterator[Counter[str]]:
    """Count the runs of each part of a pipeline's segmenter, by its task."""
    counts: Counter[str] = Counter()

    def count(task: str) -> Callable[[object], None]:
        return lambda _: counts.update([task])

    with ExitStack() as stopped:
        for session in parts(pipe.segmenter):
            stopped.callback(session.observe(count(session.spec.task)))
        yield counts


def parts(segmenter: Segmenter) -> list[Session]:
    """The open graphs of a segmenter."""
    return list(segmenter._opened)


def save_helpers(trunk: Path) -> None:
    """Write graphs that prepare frames and decode masks beside the parts, with the sizes of the bundled model's."""
    bundled = Path(locate("demo-seg"))
    shutil.copy(bundled / "demo-seg.preprocess.onnx", trunk.with_suffix(".preprocess.onnx"))
    spec = read_spec(bundled / "demo-seg.decode.onnx")
    taken = arrays_input(spec)
    layouts = dict(zip(taken.names, taken.layouts, strict=True))
    layouts |= {"prototypes": f"1 {COEFFICIENTS} h w", "coefficients": f"K {COEFFICIENTS}"}
    made = ArraysInput(tuple(layouts), tuple(layouts.values()), taken.dtypes, taken.axes)
    builder = GraphBuilder(dataclasses.replace(spec, input=made))
    decode._build(builder, trunk.with_suffix(".decode.onnx"))
