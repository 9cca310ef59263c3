"""Compare the time to draw a result: `Result.plot` and supervision's annotators, on frames of several sizes."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from claims.common import harness

# isort: split
import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_trt.masks.mask_source import MaskCrop
from fastsam_trt.results.result import Result
from fastsam_trt.segmentation.segments import Segments
from fastsam_trt.selectors import Selection

_CASES = ((480, 640, 3), (1080, 1920, 10), (1080, 1920, 60), (2160, 3840, 10))  # height, width, segments
_BOUND = 0.8
_OURS, _THEIRS = "result.plot()", "supervision"
_NAMES = ("person", "bicycle", "car", "dog", "traffic light")


class DecodedMasks:
    """Masks that are decoded already, so that only drawing is timed."""

    def __init__(self, crops: list[MaskCrop]) -> None:
        self._crops = crops

    def __len__(self) -> int:
        return len(self._crops)

    def decode(self, indices: Any) -> list[MaskCrop]:
        """The masks of some indices."""
        return [self._crops[index] for index in indices]

    def coarse(self, index: int, window: NDArray[np.float64], size_px: int) -> NDArray[np.bool_]:
        """Drawing samples no masks."""
        raise NotImplementedError


def main() -> int:
    """Time both ways on drawn frames, in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    harness.add_options(parser, rounds=20, warmup=2)
    args = parser.parse_args()
    harness.require("supervision")
    facts = harness.machine(("fastsam-trt", "supervision", "opencv-python", "numpy"))
    rows: list[dict[str, Any]] = []
    checks: list[harness.Check] = []
    for height, width, count in _CASES:
        result = _result(height, width, count)
        result.mask_crops()
        sides = [
            harness.Side(_OURS, harness.wall_clock(result.plot)),
            harness.Side(_THEIRS, harness.wall_clock(_supervision(result))),
        ]
        times = harness.measure(sides, args.rounds, args.warmup)
        title = f"{count} segments at {width} x {height}"
        rows += harness.show_times(title, times, [_THEIRS])
        checks.append(
            harness.Check(f"{title}: {_OURS} / {_THEIRS}", harness.ratio(times, _OURS, _THEIRS).median, "<=", _BOUND)
        )
    return harness.finish(args, facts, rows, checks)


def _result(height: int, width: int, count: int) -> Result:
    """A result with wobbly segments of 0.1 to 0.5 of the frame's sides, as networks find them, by a fixed seed."""
    generator = np.random.default_rng(0)
    noise = generator.normal(128, 40, (height // 16, width // 16, 3)).clip(0, 255).astype(np.uint8)
    frame = np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
    crops, boxes = [], []
    for _ in range(count):
        high, wide = (generator.uniform(0.1, 0.5, 2) * (height, width)).astype(int).tolist()
        left, top = (generator.uniform(0, 1, 2) * (width - wide, height - high)).astype(int).tolist()
        yy, xx = np.mgrid[-1:1:40j, -1:1:40j]
        field = (1 - np.hypot(yy, xx) + generator.normal(0, 0.04, yy.shape)).astype(np.float32)
        pixels = cv2.resize(field, (wide, high), interpolation=cv2.INTER_CUBIC) > 0.2
        crops.append(MaskCrop(left, top, pixels))
        boxes.append((left, top, left + wide, top + high))
    segments = Segments(
        np.array(boxes, np.float32),
        np.sort(generator.uniform(0.3, 1, count)).astype(np.float32)[::-1],
        generator.integers(0, len(_NAMES), count).astype(np.int32),
        DecodedMasks(crops),
    )
    none = np.full(count, np.nan, np.float32)
    selection = Selection(np.arange(count), np.full(count, -1, np.int32), none, np.array([], np.intp))
    return Result(frame, segments, selection, class_names=_NAMES, prompts=(), speed={})


def _supervision(result: Result) -> Callable[[], object]:
    """The same elements, as supervision draws them. Making its `Detections` is not timed."""
    import supervision as sv

    height, width = result.frame.shape[:2]
    line = sv.calculate_optimal_line_thickness((width, height))
    scale = sv.calculate_optimal_text_scale((width, height))
    detections = result.to_supervision()
    masks, outlines = sv.MaskAnnotator(), sv.PolygonAnnotator(thickness=line)
    labels = sv.LabelAnnotator(text_scale=scale, text_thickness=max(line // 2, 1), smart_position=True)
    texts = [f"{name} {score:.2f}" for name, score in zip(result.labels, result.scores, strict=True)]

    def draw() -> object:
        image = masks.annotate(result.frame.copy(), detections)
        return labels.annotate(outlines.annotate(image, detections), detections, texts)

    return draw


if __name__ == "__main__":
    harness.entry(main)
