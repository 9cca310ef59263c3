"""Embedder: CLIP embeddings of segments, made or kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.clip.model import Clip
from fastsam_trt.segmentation.segments import Segments


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """Embeddings of n segments.

    Attributes:
        vectors: (n, d) float32, rows of length one; of zeros where none is known.
        known: (n,) bool; False where CLIP has not seen the segment yet, or not as it looks now.
        crops: How many crops went through CLIP to make them.
    """

    vectors: NDArray[np.float32]
    known: NDArray[np.bool_]
    crops: int = 0


class Embedder(Protocol):
    """Gives embeddings of segments.

    One that keeps something from frame to frame takes frames in their order, one at a time.
    """

    def begin(self, segments: Segments, captured_s: float | None) -> None:
        """Start with a frame.

        Args:
            segments: All of its segments, with their tracks.
            captured_s: When it was captured, on `time.perf_counter`'s clock; None where time is no matter.
        """

    def embed(self, frame: NDArray[np.uint8], segments: Segments) -> Embedded:
        """Give the embeddings of some of the frame's segments; several selectors may ask.

        Args:
            frame: (H, W, 3) uint8 BGR.
            segments: n of those that the frame was begun with.
        """

    def judged(self, segments: Segments, margins: NDArray[np.float32]) -> None:
        """Learn how the segments were judged.

        Args:
            segments: n that were embedded.
            margins: (n,) distance of the similarity to their best prompt from the threshold, 0..1; NaN where unknown.
        """


class EveryCrop:
    """The plain embedder: CLIP sees every segment that it is asked about. Any thread may ask."""

    def __init__(self, clip: Clip, *, masked: bool = False) -> None:
        """Take a CLIP model; `masked`: whether it sees a segment's mask alone, or all that is around it."""
        self._clip = clip
        self._masked = masked

    def begin(self, segments: Segments, captured_s: float | None) -> None:
        pass

    def embed(self, frame: NDArray[np.uint8], segments: Segments) -> Embedded:
        clip = self._clip
        vectors = clip.embed_masked(frame, segments) if self._masked else clip.embed_boxes(frame, segments.boxes)
        return Embedded(vectors, np.ones(len(segments), np.bool_), len(segments))

    def judged(self, segments: Segments, margins: NDArray[np.float32]) -> None:
        pass
