"""Segments with track ids, a CLIP that counts its crops, and a `TrackEmbedder` that uses it."""

from __future__ import annotations

import numpy as np

from fastsam_trt.clip.embedder import Embeddings, LatencyBudget
from fastsam_trt.clip.track_embedder import TrackEmbedder
from fastsam_trt.segmentation.segments import Segments
from support.made_results import CropMasks

FRAME = np.zeros((480, 640, 3), np.uint8)


def segments_of(*boxes, ids=None, scores=None, classes=None) -> Segments:
    n = len(boxes)
    return Segments(
        np.array(boxes, np.float32).reshape(n, 4),
        np.full(n, 0.5, np.float32) if scores is None else np.array(scores, np.float32),
        np.zeros(n, np.int32) if classes is None else np.array(classes, np.int32),
        CropMasks([]),
        np.empty(0, np.int32) if ids is None else np.array(ids, np.int32),
    )


def box_around(x, y, width=40, height=30) -> tuple[float, float, float, float]:
    return (x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def random_boxes(generator: np.random.Generator, n: int) -> np.ndarray:
    low = generator.uniform(0, 500, (n, 2))
    return np.concatenate([low, low + generator.uniform(0, 120, (n, 2))], axis=1).astype(np.float32)


class CountingClip:
    """A CLIP that counts its crops and takes a fixed time for each; its vectors encode the frame and the box.

    The vector of a masked crop is the negative of the plain one.
    """

    def __init__(self, crop_s: float = 0.0) -> None:
        self.now_s = 0.0
        self.crop_s = crop_s
        self.batches: list[int] = []
        self.seen: list[float] = []  # left edges of the boxes, px
        self.frames = 0

    def clock(self) -> float:
        return self.now_s

    def embed_boxes(self, frame, boxes, uploads=None) -> np.ndarray:
        self.batches.append(len(boxes))
        self.seen += boxes[:, 0].tolist()
        self.now_s += self.crop_s * len(boxes)
        return self._vectors(frame, boxes)

    def embed_masked(self, frame, segments) -> np.ndarray:
        return -self.embed_boxes(frame, segments.boxes)

    def _vectors(self, frame: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        angles = boxes[:, 0] / 700 + self.frames / 1000
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def row(n: int, *, first: int = 0, side: float = 20, **more) -> Segments:
    """Return n tracks with ids from `first`; the left edge of a box is ten times its id."""
    ids = range(first, first + n)
    return segments_of(*[(10 * i, 0, 10 * i + side, side) for i in ids], ids=ids, **more)


def embed(
    embedder: TrackEmbedder,
    segments: Segments,
    budget: LatencyBudget | None = None,
    margin: float = 0.5,
    frame: np.ndarray = FRAME,
) -> Embeddings:
    """Embed all segments of a frame, and record the same margin for each."""
    embedder.begin(segments, budget)
    embedded = embedder.embed(frame, segments)
    margins = np.where(embedded.known, margin, np.nan).astype(np.float32)
    embedder.record_margins(segments, margins)
    return embedded


def timed_embedder(crop_s: float = 0.01) -> tuple[CountingClip, TrackEmbedder]:
    """Return a CLIP, and an embedder that knows how long a crop takes it."""
    clip = CountingClip(crop_s)
    embedder = TrackEmbedder(clip, clock=clip.clock)
    embedder.warm(FRAME.shape)
    clip.seen.clear()
    clip.batches.clear()
    clip.now_s = 0.0
    return clip, embedder
