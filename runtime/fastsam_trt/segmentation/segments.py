"""Segments: what a segmenter found in one frame, masks not yet decoded."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.masks.mask_source import MaskSource, MaskSubset


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """The n segments of one frame, best first.

    Attributes:
        boxes: (n, 4) float32 xyxy, px of the original frame.
        scores: (n,) float32 in 0..1.
        class_ids: (n,) int32, index into the model's class names.
        masks: n undecoded masks.
        track_ids: (n,) int32, the same for an object in every frame; -1 where nothing is tracked. None given: all -1.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    class_ids: NDArray[np.int32]
    masks: MaskSource
    track_ids: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))

    def __post_init__(self) -> None:
        if not len(self.track_ids):
            object.__setattr__(self, "track_ids", np.full(len(self.boxes), -1, np.int32))

    def __len__(self) -> int:
        return len(self.boxes)

    def take(self, indices: NDArray[np.intp]) -> Segments:
        """The segments of (k,) indices, in their order; nothing is decoded."""
        masks = MaskSubset(self.masks, indices)
        return Segments(
            self.boxes[indices], self.scores[indices], self.class_ids[indices], masks, self.track_ids[indices]
        )
