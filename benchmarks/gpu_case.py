"""A case of `gpu.py`: the sides' answers held against a reference, then their times taken in turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import harness
from gpu_sides import Side, no_part
from seeded_models import CLIP, Models

# isort: split
import numpy as np
from numpy.typing import NDArray

from fastsam_engine import find_graph, open_session
from fastsam_engine.errors import one_line
from fastsam_trt.box_overlap import box_ious
from fastsam_trt.clip import Clip
from fastsam_trt.crops import square_windows
from fastsam_trt.families import Thresholds, decoder_for
from fastsam_trt.preprocess import FramePreprocessor

ULTRALYTICS, SCRIPT = "PyTorch ultralytics", "PyTorch script, our steps"
_MASKS = 10  # segments of a frame where no crops are asked for
_CANDIDATES = 500  # anchors above the lowest score, of which NMS leaves more than 100 segments
_SAME_IOU, _KEPT_BOUND, _COSINE_BOUND = 0.9, 0.95, 0.99
_BARE = ": networks"

T = TypeVar("T")


class Reference:
    """What every side is held against: our fp32 graphs on the processor, in ONNX Runtime."""

    def __init__(self, models: Models, name: str, frame: NDArray[np.uint8], imgsz: int) -> None:
        self._models, self._frame = models, frame
        session = open_session(find_graph(models.export(name, "fp32")), "onnxruntime", "cpu", "fp32")
        image: Any = session.spec.input
        array, self._letterbox = FramePreprocessor(image, (imgsz, imgsz))(frame)
        self._outputs = session.run({image.name: array})
        self._decoder = decoder_for(session, no_part)
        classes, detections = len(session.spec.class_names), session.spec.outputs[0].name
        scores = np.sort(self._outputs[detections][0, 4 : 4 + classes].max(axis=0))[::-1]
        last = min(_CANDIDATES, len(scores) // 2)
        self.conf = float(scores[last - 1] + scores[last]) / 2
        self.iou = session.spec.defaults["iou"]
        self._clip: Clip | None = None

    def find(self, most: int) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Boxes and class ids of the surest segments."""
        segments = self._decoder.decode(self._outputs, self._letterbox, Thresholds(self.conf, self.iou, most))
        return segments.boxes, segments.class_ids

    def embed(self, windows: NDArray[np.intp]) -> NDArray[np.float32]:
        """CLIP's embeddings of windows of the frame."""
        if self._clip is None:
            self._clip = Clip(self._models.export(CLIP, "fp32"), backend="onnxruntime", device="cpu", precision="fp32")
        return self._clip.embed_windows(self._frame, windows)


@dataclass(frozen=True, slots=True)
class Case:
    """One model, precision, batch and number of crops; its networks alone are timed `in_a_row`, and the mean taken."""

    title: str
    reference: Reference
    frames: list[NDArray[np.uint8]]
    crops: int
    in_a_row: int

    def run(self, sides: Sequence[Side], rounds: int, warmup: int, unopened: Mapping[str, str]) -> list[dict[str, Any]]:
        """Compare the sides, time those that agree in turn, and return a row for each, with figures or the reason."""
        failed, rows, timed = dict(unopened), dict[str, dict[str, Any]](), list[harness.Side]()
        for side in sides:
            ready, why = attempt(partial(self._ready, side))
            if ready is None:
                failed[side.name] = why
                continue
            rows[side.name], networks = ready
            timed.append(_guarded(side.name, failed, harness.wall_clock(partial(side, self.frames))))
            timed.append(_guarded(side.name, failed, _repeated(networks, self.in_a_row), suffix=_BARE))
        times = harness.measure(timed, rounds, warmup) if timed else {}
        peer = next((name for name in (ULTRALYTICS, SCRIPT) if name in rows and name not in failed), None)
        for name, row in rows.items():
            if name in failed:
                continue
            p50, p99 = np.percentile(times[name], [50, 99]).tolist()
            networks_ms = harness.Spread.of(times[name + _BARE]).median
            row |= {"p50 ms": p50, "p99 ms": p99, "FPS": len(self.frames) * 1e3 / p50, "networks ms": networks_ms}
            row |= {"share": harness.ratio(times, name + _BARE, name).median}
            if peer:
                row["/ PyTorch"] = harness.ratio(times, name, peer).median
        return [{**row, "note": failed.get(name, "")} for name, row in rows.items()] + [
            {"side": name, "note": why} for name, why in failed.items() if name not in rows
        ]

    def _ready(self, side: Side) -> tuple[dict[str, Any], Callable[[], object]]:
        """Prepare a side and hold its answers against the reference's: the row so far, and a call of its networks.

        Raises:
            BenchmarkError: It answers otherwise.
        """
        most = self.crops or _MASKS
        boxes, class_ids = self.reference.find(most)
        if len(boxes) < most:
            raise harness.BenchmarkError(f"expected {most} segments in the frame, found {len(boxes)}")
        side.prepare(self.reference.conf, clip=False)
        side.most = 2 * most  # what is near the end of the list may come in another order
        kept = min(_kept(boxes, class_ids, *found) for found in side(self.frames))
        row: dict[str, Any] = {"side": side.name, "computes": side.precision, "kept": f"{kept}/{most}"}
        if kept < _KEPT_BOUND * most:
            raise harness.BenchmarkError(f"expected the {most} segments of the reference, found {kept} of them")
        side.most = most
        if self.crops:
            side.prepare(self.reference.conf, clip=True)
            windows = square_windows(boxes[:_MASKS], *self.frames[0].shape[:2])
            cosine = float((self.reference.embed(windows) * side.embed(self.frames[0], windows)).sum(axis=1).min())
            if not cosine >= _COSINE_BOUND:
                raise harness.BenchmarkError(
                    f"expected CLIP's cosine to be {_COSINE_BOUND} or more, found {cosine:.4f}"
                )
            row["cosine"] = cosine
        return row, side.networks(self.frames)


def _kept(
    boxes: NDArray[np.float32], class_ids: NDArray[np.int32], found: NDArray[np.float32], found_ids: NDArray[np.int32]
) -> int:
    """How many of (n, 4) boxes are found again, at `_SAME_IOU` and of the same class."""
    same = (box_ious(boxes, found) >= _SAME_IOU) & (class_ids[:, None] == found_ids)
    return int(same.any(axis=1).sum())


def _guarded(name: str, failed: dict[str, str], timed: Callable[[], float], suffix: str = "") -> harness.Side:
    """A side that fails alone: its time is NaN from then on, and the reason is kept."""

    def time_ms() -> float:
        if name not in failed:
            spent_ms, why = attempt(timed)
            if spent_ms is not None:
                return spent_ms
            failed[name] = why
        return float("nan")

    return harness.Side(name + suffix, time_ms)


def _repeated(call: Callable[[], object], times: int) -> Callable[[], float]:
    """The ms of a call, as the mean of some in a row: one that leaves its outputs on the device may not wait for it."""

    def time_ms() -> float:
        return harness.wall_clock(lambda: [call() for _ in range(times)])() / times

    return time_ms


def attempt(call: Callable[[], T]) -> tuple[T | None, str]:
    """What a call returns and no reason, or None and the reason why not: one side's failure must not end the others."""
    try:
        return call(), ""
    except Exception as error:  # noqa: BLE001 - of whichever library it is
        return None, one_line(error)
