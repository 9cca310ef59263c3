"""Decode end-to-end YOLO (YOLO26-seg), whose detections need no NMS."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.frames.letterbox import Letterbox
from fastsam_trt.segmentation.decoder import Outputs, Thresholds, register
from fastsam_trt.segmentation.prototype_decoder import PrototypeDecoder
from fastsam_trt.segmentation.segments import Segments


@register
class YoloEnd2EndDecoder(PrototypeDecoder):
    """Decodes detections (1, k, 6 + c) and prototypes (1, c, ph, pw) to segments.

    The model is trained to detect each object once, so overlaps are not removed: the threshold `iou` has no effect.
    """

    family = "yolo-end2end"
    detections = "yolo-end2end-detections"

    def decode(self, outputs: Outputs, letterbox: Letterbox, thresholds: Thresholds) -> Segments:
        rows: NDArray[np.float32] = np.asarray(outputs[self._detections][0], np.float32)
        rows = rows[rows[:, 4] > thresholds.conf]
        if thresholds.classes is not None:
            rows = rows[np.isin(rows[:, 5].astype(np.int32), thresholds.classes)]
        rows = rows[np.argsort(-rows[:, 4], kind="stable")]
        boxes = letterbox.boxes_to_frame(rows[:, :4])
        kept = np.flatnonzero(has_area(boxes))[: thresholds.max_segments]
        rows, boxes = rows[kept], boxes[kept]
        masks = self.masks(outputs[self._prototypes], rows[:, 6:], boxes, letterbox)
        return Segments(boxes, rows[:, 4], rows[:, 5].astype(np.int32), masks)


def has_area(boxes: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which of n boxes, (n, 4) xyxy, have an area. Each side is regressed separately, so x1 may be below x0.

    ultralytics drops boxes without an area, too.
    """
    return np.asarray((boxes[:, 2:] > boxes[:, :2]).all(axis=1))
