"""Panoptic merging: queries with soft masks become segments that do not overlap.

As DETR's post-processing does it (arXiv 2005.12872, section 4.2, in the form of transformers'
`post_process_panoptic_segmentation`): each pixel goes to the query whose probability times score is highest, and a
query that keeps too little of its own mask is dropped. What a query keeps is counted on the maps as the model gives
them; only where that is too close to call, it is counted at the frame's resolution.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.frames.letterbox import Letterbox
from fastsam_trt.masks.argmax import ArgmaxMasks, bounds, leading_planes
from fastsam_trt.masks.map_to_frame import MapToFrame
from fastsam_trt.segmentation.segments import Segments

_MASK_THRESHOLD = 0.5
_LEAST_KEPT = 0.8
_CLOSE = 0.1  # to _LEAST_KEPT
_FEW = 100  # cells


@dataclass(frozen=True, slots=True, eq=False)
class Queries:
    """The k queries of a frame that are sure enough of being something, in the model's order.

    Attributes:
        indices: (k,) among the model's queries.
        scores: (k,) float32 in 0..1.
        class_ids: (k,) int32.
    """

    indices: NDArray[np.intp]
    scores: NDArray[np.float32]
    class_ids: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.indices)


def queries(logits: NDArray[np.float32], conf: float, most: int) -> Queries:
    """Choose queries.

    Args:
        logits: (q, classes + 1), the last one for "no object".
        conf: Least score.
        most: Most queries to return, the surest of them.
    """
    logits = logits.astype(np.float32)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = powers / powers.sum(axis=1, keepdims=True)
    class_ids, best = probabilities.argmax(axis=1), probabilities.max(axis=1)
    found = np.flatnonzero((class_ids < logits.shape[1] - 1) & (best > conf))
    found = np.sort(found[np.argsort(-best[found], kind="stable")[:most]])
    return Queries(found, best[found], class_ids[found].astype(np.int32))


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits (k, h, w) to probabilities, without overflow; plane by plane, which stays in the cache."""
    probabilities = np.empty(logits.shape, np.float32)
    for plane, of in zip(probabilities, logits, strict=True):
        np.multiply(of, 0.5, out=plane)
        np.tanh(plane, out=plane)
        np.multiply(plane, 0.5, out=plane)
        np.add(plane, 0.5, out=plane)
    return probabilities


def merge(
    probabilities: NDArray[np.float32], found: Queries, resize: MapToFrame, classes: Collection[int] | None
) -> Segments:
    """Make segments of a frame's queries.

    Args:
        probabilities: (k, h, w) float32 in 0..1, masks over the model's input. Changed in place.
        found: The k queries.
        resize: From the masks to the frame.
        classes: Class ids to keep; None: all. The others compete for pixels all the same.

    Returns:
        The queries that keep a segment, best first.
    """
    if not len(found):
        return nothing(resize.letterbox)
    probabilities *= found.scores[:, None, None]
    leaders = leading_planes(probabilities, resize.content)
    order = np.argsort(-found.scores, kind="stable").tolist()
    wanted = [query for query in order if classes is None or int(found.class_ids[query]) in classes]
    kept = np.array([query for query in wanted if _keeps(probabilities, leaders, query, resize)], np.intp)
    cells = np.array([bounds(leaders == query) for query in kept.tolist()], np.intp).reshape(-1, 4)
    masks = ArgmaxMasks(probabilities, leaders, kept, cells, resize)
    return Segments(masks.windows.astype(np.float32), found.scores[kept], found.class_ids[kept], masks)


def nothing(letterbox: Letterbox) -> Segments:
    """No segments."""
    none = np.empty(0, np.intp)
    masks = ArgmaxMasks(
        np.empty((0, 1, 1), np.float32), none.reshape(0, 0), none, none.reshape(0, 4), MapToFrame(letterbox, 1, 1)
    )
    return Segments(np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty(0, np.int32), masks)


def _keeps(planes: NDArray[np.float32], leaders: NDArray[np.int16], query: int, resize: MapToFrame) -> bool:
    """Whether a query keeps enough of its own mask."""
    leads, own = leaders == query, (planes[query] >= _MASK_THRESHOLD) & (leaders >= 0)
    kept, whole = int(leads.sum()), int(own.sum())
    if kept == 0 or whole == 0:
        return False  # a pixel belongs to the query, or reaches the threshold, only beside a cell that does
    if whole >= _FEW and abs(kept / whole - _LEAST_KEPT) > _CLOSE:
        return kept / whole > _LEAST_KEPT
    masks = ArgmaxMasks(planes, leaders, np.array([query]), np.array([bounds(leads)], np.intp), resize)
    kept = int(masks.decode([0])[0].pixels.sum())
    x0, y0, x1, y1 = resize.to_frame(np.array([bounds(own)], np.intp))[0].tolist()
    if x1 <= x0 or y1 <= y0:
        return False
    rows, columns = resize.reach(x0, y0, x1, y1)
    whole = int((resize.window(planes[query : query + 1, rows, columns], x0, y0, x1, y1) >= _MASK_THRESHOLD).sum())
    return whole > 0 and kept / whole > _LEAST_KEPT
