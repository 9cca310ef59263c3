"""Embedder: the interface through which selectors get CLIP embeddings, and the plain embedder of every crop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.clip.model import Clip
from fastsam_trt.frames.uploads import FrameUploads
from fastsam_trt.segmentation.segments import Segments


@dataclass(frozen=True, slots=True, eq=False)
class Embeddings:
    """CLIP embeddings of n segments.

    Attributes:
        vectors: (n, d) float32, rows of length one; rows of zeros where `known` is False.
        known: (n,) bool; False where CLIP has not seen the segment, or the segment looks different since it did.
        crops_embedded: How many crops went through CLIP in this call.
    """

    vectors: NDArray[np.float32]
    known: NDArray[np.bool_]
    crops_embedded: int = 0


@dataclass(frozen=True, slots=True)
class LatencyBudget:
    """The age that a frame may have when its result is out.

    Attributes:
        captured_s: When the frame was captured, on `time.perf_counter`'s clock.
        budget_ms: Time from then until the result is out.
        reserve_ms: Part of the budget that later stages need: masks, drawing, encoding.
    """

    captured_s: float
    budget_ms: float
    reserve_ms: float = 0.0


class Embedder(Protocol):
    """Returns the embeddings of a frame's segments.

    An embedder that keeps state between frames takes them in order, one at a time.
    """

    def warm(self, frame_shape: tuple[int, ...]) -> None:
        """Prepare for budgets: run CLIP until it is compiled and its speed is known.

        Args:
            frame_shape: (H, W, 3) of the frames to come.
        """

    def begin(self, segments: Segments, budget: LatencyBudget | None = None) -> None:
        """Start a frame.

        Args:
            segments: All segments of the frame, with their track ids.
            budget: When its crops have to be embedded; None: take all the time needed.
        """

    def embed(self, frame: NDArray[np.uint8], segments: Segments) -> Embeddings:
        """Return the embeddings of some segments of the frame; several selectors may call this per frame.

        Args:
            frame: (H, W, 3) uint8 BGR.
            segments: n of the segments that `begin` took.
        """

    def record_margins(self, segments: Segments, margins: NDArray[np.float32]) -> None:
        """Record how close the decisions about segments were.

        Args:
            segments: n segments that were embedded.
            margins: (n,) float32 in 0..1: distance of the similarity to the best prompt from the threshold; NaN where
                it is unknown.
        """


class CropEmbedder:
    """Embeds every segment in every call. Thread-safe."""

    def __init__(self, clip: Clip, *, masked: bool = False, uploads: FrameUploads | None = None) -> None:
        """Create an embedder.

        Args:
            clip: The CLIP model.
            masked: Whether CLIP sees a segment's mask with the rest greyed, or everything in its box.
            uploads: The frames that the caller has uploaded; None: none.
        """
        self._clip = clip
        self._masked = masked
        self._uploads = uploads

    def warm(self, frame_shape: tuple[int, ...]) -> None:
        pass

    def begin(self, segments: Segments, budget: LatencyBudget | None = None) -> None:
        pass

    def embed(self, frame: NDArray[np.uint8], segments: Segments) -> Embeddings:
        if self._masked:
            vectors = self._clip.embed_masked(frame, segments)
        else:
            vectors = self._clip.embed_boxes(frame, segments.boxes, self._uploads)
        return Embeddings(vectors, np.ones(len(segments), np.bool_), len(segments))

    def record_margins(self, segments: Segments, margins: NDArray[np.float32]) -> None:
        pass
