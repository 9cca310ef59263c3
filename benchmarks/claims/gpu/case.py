"""Compare the results of a side with the reference, then time the side."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from claims.common import harness
from claims.gpu.reference import Reference
from claims.gpu.sides import Side

# isort: split
import numpy as np
from numpy.typing import NDArray

from fastsam_engine.errors import one_line
from fastsam_trt.segmentation.nms import box_ious

ULTRALYTICS, SCRIPT = "PyTorch ultralytics", "PyTorch script, our steps"
_MASKS = 10  # segments per frame without crops
_SAME_IOU, _KEPT_BOUND, _COSINE_BOUND = 0.9, 0.95, 0.99
_LEAST_ROUNDS = 3
_IN_A_ROW_MS = 30.0  # duration of consecutive runs, so long that their start and end do not matter

T = TypeVar("T")


class OtherAnswerError(Exception):
    """The results of a side differ from the reference."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How long to measure.

    Attributes:
        rounds: Most timed turns.
        warmup: Most turns before them.
        seconds: Time after which no turn starts, except the first three.
        in_a_row: Most consecutive runs of short networks that are timed together.
    """

    rounds: int
    warmup: int
    seconds: float
    in_a_row: int


@dataclass(frozen=True, slots=True)
class Case:
    """One model, precision, batch and number of crops.

    Attributes:
        title: Title in rows.
        reference: The expected results.
        batch, crops: Frames at a time, and CLIP crops per frame.
        is_drawn: Whether the weights of the segmenter are random. Rounding moves the boxes of such a network, so the
            share of the reference that is found is reported but not checked.
    """

    title: str
    reference: Reference
    batch: int
    crops: int
    is_drawn: bool = False

    def run(self, side: Side, timing: Timing) -> Iterator[dict[str, Any]]:
        """Compare the side with the reference (a row of kind `parity`), then time it (a row of kind `times`).

        Raises:
            OtherAnswerError: The results differ; the side is not timed.
        """
        frames = [self.reference.frame] * self.batch
        start = time.perf_counter()
        row = self._compare(side, frames)
        yield {"kind": "parity", "title": self.title, **row, "first ms": (time.perf_counter() - start) * 1e3}
        self._hold(row)
        networks = side.networks(frames)
        networks()
        once_ms = harness.wall_clock(networks)()
        in_a_row = max(1, min(timing.in_a_row, int(_IN_A_ROW_MS / once_ms)))

        def repeated() -> None:
            for _ in range(in_a_row):
                networks()

        whole_ms, bare_ms = timed({"whole": partial(side, frames), "bare": repeated}, timing).values()
        bare_ms = [each / in_a_row for each in bare_ms]
        p50, p99 = np.percentile(whole_ms, [50, 99]).tolist()
        yield {
            "kind": "times", "title": self.title, "side": side.name, "computes": side.precision,
            "rounds": len(whole_ms), "p50 ms": p50, "p99 ms": p99, "FPS": self.batch * 1e3 / p50,
            "networks ms": float(np.median(bare_ms)),
            "share": float(np.median([b / w for b, w in zip(bare_ms, whole_ms, strict=True)])),
        }  # fmt: skip

    def _compare(self, side: Side, frames: list[NDArray[np.uint8]]) -> dict[str, Any]:
        reference, most = self.reference, self.crops or _MASKS
        boxes, class_ids = reference.boxes[:most], reference.class_ids[:most]
        if len(boxes) < most:
            raise harness.BenchmarkError(f"expected {most} segments in the frame, found {len(boxes)}")
        side.prepare(reference.conf, clip=False)
        side.most = 2 * most  # segments near the end of the list may come in another order
        kept = min(_kept(boxes, class_ids, *found) for found in side(frames))
        side.most = most
        row: dict[str, Any] = {"side": side.name, "computes": side.precision, "kept": kept, "of": most}
        if self.crops:
            side.prepare(reference.conf, clip=True)
            if reference.embeddings is None:
                raise harness.BenchmarkError("expected CLIP's embeddings in the reference, found none")
            found = side.embed(reference.frame, reference.windows())
            row["cosine"] = float((reference.embeddings * found).sum(axis=1).min())
        return row

    def _hold(self, row: Mapping[str, Any]) -> None:
        if row["kept"] < _KEPT_BOUND * row["of"] and not self.is_drawn:
            raise OtherAnswerError(f"expected the {row['of']} segments of the reference, found {row['kept']}")
        if not row.get("cosine", 1.0) >= _COSINE_BOUND:
            raise OtherAnswerError(f"expected CLIP's cosine to be {_COSINE_BOUND} or more, found {row['cosine']}")


def timed(calls: Mapping[str, Callable[[], object]], timing: Timing) -> dict[str, list[float]]:
    """Times of calls in turn, ms; before each timed call there is one that is not timed."""
    begun, sides = time.perf_counter(), {name: harness.wall_clock(call) for name, call in calls.items()}
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(-timing.warmup, timing.rounds):
        late = time.perf_counter() - begun > timing.seconds
        if late and min(map(len, times.values())) >= min(_LEAST_ROUNDS, timing.rounds):
            break
        if late and turn < 0:
            continue
        for name, side in sides.items():
            side()
            spent_ms = side()
            if turn >= 0:
                times[name].append(spent_ms)
    return times


def attempt(call: Callable[[], T]) -> tuple[T | None, str]:
    """The result of a call and an empty text, or None and the error: a failure of one side must not end the others."""
    try:
        return call(), ""
    except Exception as error:  # noqa: BLE001 - of any library
        return None, one_line(error) or type(error).__name__


def _kept(
    boxes: NDArray[np.float32], class_ids: NDArray[np.int32], found: NDArray[np.float32], found_ids: NDArray[np.int32]
) -> int:
    """Number of boxes (n, 4) that are found again, at `_SAME_IOU` and with the same class."""
    same = (box_ious(boxes, found) >= _SAME_IOU) & (class_ids[:, None] == found_ids)
    return int(same.any(axis=1).sum())
