"""Decode SegFormer: the map of a class, or each connected part of it, is a segment."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_engine.session import Session
from fastsam_trt.frames.letterbox import Letterbox
from fastsam_trt.masks.argmax import ArgmaxMasks, leading_planes
from fastsam_trt.masks.map_to_frame import MapToFrameCache
from fastsam_trt.masks.mask_source import bounds
from fastsam_trt.segmentation.decoder import Decoder, OpenPart, Outputs, Thresholds, register
from fastsam_trt.segmentation.segments import Segments


@register
class SegformerDecoder(Decoder):
    """Decodes logits (1, classes, h, w) to segments, scored by the mean probability of the class in their cells."""

    family = "segformer"

    def __init__(self, session: Session, open_part: OpenPart) -> None:
        super().__init__(session, open_part)
        self._logits = self.spec.outputs[0].name
        self._resizes = MapToFrameCache()

    def decode(self, outputs: Outputs, letterbox: Letterbox, thresholds: Thresholds) -> Segments:
        logits = np.asarray(outputs[self._logits][0], np.float32)
        resize = self._resizes.get(letterbox, *logits.shape[1:])
        leaders = leading_planes(logits, resize.content)
        probabilities = _highest_probability(logits)
        owners: list[int] = []
        cells: list[tuple[int, int, int, int]] = []
        scores: list[float] = []
        areas: list[int] = []
        parts: dict[int, tuple[NDArray[np.int32], int]] = {}
        for class_id in np.unique(leaders[resize.content]).tolist():
            if thresholds.classes is not None and class_id not in thresholds.classes:
                continue
            of_class = leaders == class_id
            if not thresholds.components:
                owners.append(class_id)
                cells.append(bounds(of_class))
                scores.append(float(probabilities[of_class].mean()))
                areas.append(int(of_class.sum()))
                continue
            part_of, boxes, sizes = _parts(of_class)
            sums = np.bincount(part_of[of_class], probabilities[of_class], len(sizes))
            for part in range(1, len(sizes)):
                parts[len(owners)] = part_of, part
                owners.append(class_id)
                cells.append(boxes[part])
                scores.append(float(sums[part] / sizes[part]))
                areas.append(sizes[part])
        kept = _kept(np.array(scores, np.float32), np.array(areas, np.intp), thresholds)
        masks = ArgmaxMasks(
            logits,
            leaders,
            np.array(owners, np.intp)[kept],
            np.array(cells, np.intp).reshape(-1, 4)[kept],
            resize,
            {new: parts[old] for new, old in enumerate(kept.tolist()) if old in parts},
        )
        return Segments(
            masks.windows.astype(np.float32),
            np.array(scores, np.float32)[kept],
            np.array(owners, np.int32)[kept],
            masks,
        )


def _highest_probability(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """The highest value of the softmax over the first axis of (c, h, w): (h, w)."""
    highest = logits.max(axis=0)
    return np.asarray(1 / np.exp(logits - highest).sum(axis=0), np.float32)


def _parts(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], list[tuple[int, int, int, int]], list[int]]:
    """Connected parts of a mask (h, w): part at or nearest to each cell, from 1; box xyxy and size of each part."""
    _, inside, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    _, nearest = cv2.distanceTransformWithLabels(
        (~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_CCOMP
    )
    names = np.zeros(nearest.max() + 1, np.int32)  # the two functions number the parts differently
    names[nearest[mask]] = inside[mask]
    return names[nearest], [(x, y, x + w, y + h) for x, y, w, h, _ in stats.tolist()], stats[:, 4].tolist()


def _kept(scores: NDArray[np.float32], areas: NDArray[np.intp], thresholds: Thresholds) -> NDArray[np.intp]:
    """Indices of the segments to keep: of those above the threshold, the largest; best score first."""
    above = np.flatnonzero(scores >= thresholds.conf)
    largest = above[np.argsort(-areas[above], kind="stable")][: thresholds.max_segments]
    return largest[np.argsort(-scores[largest], kind="stable")]
