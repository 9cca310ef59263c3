"""Panoptic merging: from queries with soft masks to segments that do not overlap.

As in DETR's post-processing (arXiv 2005.12872, section 4.2, in the form of transformers'
`post_process_panoptic_segmentation`): each pixel goes to the query with the highest probability times score, and a
query that keeps too little of its mask is dropped. The kept area is counted at the model's resolution, and at the
frame's only if that is too close to the threshold.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.frames.letterbox import Letterbox
from fastsam_trt.masks.argmax import ArgmaxMasks, leading_planes
from fastsam_trt.masks.map_to_frame import MapToFrame
from fastsam_trt.masks.mask_source import bounds
from fastsam_trt.segmentation.segments import Segments

_MASK_THRESHOLD = 0.5
_MIN_KEPT = 0.8
_CLOSE = 0.1  # to _MIN_KEPT, so that the frame's resolution decides
_FEW_CELLS = 100


@dataclass(frozen=True, slots=True, eq=False)
class Queries:
    """The k queries of a frame with an object and a high enough score, in the model's order.

    Attributes:
        indices: (k,) indices into the model's queries.
        scores: (k,) float32 in 0..1.
        class_ids: (k,) int32.
    """

    indices: NDArray[np.intp]
    scores: NDArray[np.float32]
    class_ids: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.indices)


def choose_queries(logits: NDArray[np.float32], conf: float, most: int) -> Queries:
    """Choose the queries that detect an object.

    Args:
        logits: (q, classes + 1), the last class is "no object".
        conf: Lowest score.
        most: Most queries to return, those with the highest scores.
    """
    logits = logits.astype(np.float32)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = powers / powers.sum(axis=1, keepdims=True)
    class_ids, best = probabilities.argmax(axis=1), probabilities.max(axis=1)
    found = np.flatnonzero((class_ids < logits.shape[1] - 1) & (best > conf))
    found = np.sort(found[np.argsort(-best[found], kind="stable")[:most]])
    return Queries(found, best[found], class_ids[found].astype(np.int32))


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits (k, h, w) to probabilities, without overflow; plane by plane, to stay in the processor's cache."""
    probabilities = np.empty(logits.shape, np.float32)
    for plane, source in zip(probabilities, logits, strict=True):
        np.multiply(source, 0.5, out=plane)
        np.tanh(plane, out=plane)
        np.multiply(plane, 0.5, out=plane)
        np.add(plane, 0.5, out=plane)
    return probabilities


def merge(
    probabilities: NDArray[np.float32], queries: Queries, resize: MapToFrame, classes: Collection[int] | None
) -> Segments:
    """Merge the queries of a frame into segments.

    Args:
        probabilities: (k, h, w) float32 in 0..1, soft masks over the model's input; modified in place.
        queries: The k queries.
        resize: From the soft masks to the frame.
        classes: Class ids to keep; None: all. Queries of other classes still compete for pixels.

    Returns:
        The queries that keep a segment, best first.
    """
    if not len(queries):
        return no_segments(resize.letterbox)
    probabilities *= queries.scores[:, None, None]
    leaders = leading_planes(probabilities, resize.content)
    order = np.argsort(-queries.scores, kind="stable").tolist()
    wanted = [query for query in order if classes is None or int(queries.class_ids[query]) in classes]
    kept = np.array([query for query in wanted if _keeps(probabilities, leaders, query, resize)], np.intp)
    cells = np.array([bounds(leaders == query) for query in kept.tolist()], np.intp).reshape(-1, 4)
    masks = ArgmaxMasks(probabilities, leaders, kept, cells, resize)
    return Segments(masks.windows.astype(np.float32), queries.scores[kept], queries.class_ids[kept], masks)


def no_segments(letterbox: Letterbox) -> Segments:
    """No segments."""
    none = np.empty(0, np.intp)
    masks = ArgmaxMasks(
        np.empty((0, 1, 1), np.float32), none.reshape(0, 0), none, none.reshape(0, 4), MapToFrame(letterbox, 1, 1)
    )
    return Segments(np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty(0, np.int32), masks)


def _keeps(planes: NDArray[np.float32], leaders: NDArray[np.int16], query: int, resize: MapToFrame) -> bool:
    """Whether a query keeps enough of its mask."""
    leads, alone = leaders == query, (planes[query] >= _MASK_THRESHOLD) & (leaders >= 0)
    kept, whole = int(leads.sum()), int(alone.sum())
    if kept == 0 or whole == 0:
        return False  # a pixel can belong to the query, or reach the threshold, only next to a cell that does
    if whole >= _FEW_CELLS and abs(kept / whole - _MIN_KEPT) > _CLOSE:
        return kept / whole > _MIN_KEPT
    masks = ArgmaxMasks(planes, leaders, np.array([query]), np.array([bounds(leads)], np.intp), resize)
    kept = int(masks.decode([0])[0].pixels.sum())
    x0, y0, x1, y1 = resize.to_frame(np.array([bounds(alone)], np.intp))[0].tolist()
    if x1 <= x0 or y1 <= y0:
        return False
    rows, columns = resize.reach(x0, y0, x1, y1)
    whole = int((resize.window(planes[query : query + 1, rows, columns], x0, y0, x1, y1) >= _MASK_THRESHOLD).sum())
    return whole > 0 and kept / whole > _MIN_KEPT
