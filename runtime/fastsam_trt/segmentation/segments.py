"""Segments of one frame, their masks not yet decoded."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.masks.mask_source import MaskSource, MaskSubset
from fastsam_trt.segmentation.remainder import Remainder


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """The n segments of one frame, best first.

    Attributes:
        boxes: (n, 4) float32 xyxy, px of the original frame.
        scores: (n,) float32 in 0..1.
        class_ids: (n,) int32, index into the model's class names.
        masks: n undecoded masks.
        track_ids: (n,) int32, constant for an object from frame to frame; -1 where nothing is tracked. Default: all -1.
        speed_ms: Time of the stages `preprocess` and `segment`, ms; empty where it was not measured.
        remainder: The segments that were left out, as `Thresholds.selectable` allows; None: these are all.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    class_ids: NDArray[np.int32]
    masks: MaskSource
    track_ids: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    speed_ms: dict[str, float] = field(default_factory=dict)
    remainder: Remainder[Segments] | None = None

    def __post_init__(self) -> None:
        if not len(self.track_ids):
            object.__setattr__(self, "track_ids", np.full(len(self.boxes), -1, np.int32))

    def __len__(self) -> int:
        return len(self.boxes)

    def take(self, indices: NDArray[np.intp]) -> Segments:
        """The segments at (k,) indices, in that order; nothing is decoded."""
        return Segments(
            self.boxes[indices],
            self.scores[indices],
            self.class_ids[indices],
            MaskSubset(self.masks, indices),
            self.track_ids[indices],
            self.speed_ms,
        )


@dataclass(frozen=True, slots=True, eq=False)
class SegmentedFrame:
    """A frame between the two halves of a pipeline: segmented, nothing selected yet.

    Attributes:
        frame: (H, W, 3) uint8 BGR.
        segments: All its segments.
        captured_s: When the frame was captured, on the clock of `time.perf_counter`; None: unknown.
        media_s: Time of the frame in its source, in seconds; None: unknown.
    """

    frame: NDArray[np.uint8]
    segments: Segments
    captured_s: float | None = None
    media_s: float | None = None
