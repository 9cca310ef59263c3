"""Decode YOLOv8-seg, YOLO11-seg and FastSAM, whose detections need NMS."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastsam_engine.session import Session
from fastsam_trt.frames.letterbox import Letterbox
from fastsam_trt.segmentation.decoder import OpenPart, Outputs, Thresholds, register
from fastsam_trt.segmentation.nms import nms
from fastsam_trt.segmentation.prototype_decoder import PrototypeDecoder
from fastsam_trt.segmentation.segments import Segments

MAX_CANDIDATES = 5000
"""Most anchors that NMS looks at: those with the highest scores."""


@register
class YoloSegDecoder(PrototypeDecoder):
    """Decodes detections (1, 4 + classes + c, anchors) and prototypes (1, c, ph, pw) to segments."""

    family = "yolo-seg"
    detections = "yolo-detections"

    def __init__(self, session: Session, open_part: OpenPart) -> None:
        super().__init__(session, open_part)
        self._classes_end = 4 + len(self.spec.class_names)

    def decode(self, outputs: Outputs, letterbox: Letterbox, thresholds: Thresholds) -> Segments:
        detections: NDArray[np.float32] = outputs[self._detections][0]
        best = detections[4 : self._classes_end].max(axis=0)
        candidates = np.flatnonzero(best > thresholds.conf)
        if len(candidates) > MAX_CANDIDATES:
            top = np.argpartition(-best[candidates], MAX_CANDIDATES)[:MAX_CANDIDATES]
            candidates = np.sort(candidates[top])
        rows = np.ascontiguousarray(detections[:, candidates].T, np.float32)  # (k, 4 + classes + c)
        class_ids = rows[:, 4 : self._classes_end].argmax(axis=1).astype(np.int32)
        scores = best[candidates].astype(np.float32)
        if thresholds.classes is not None:
            wanted = np.isin(class_ids, thresholds.classes)
            rows, class_ids, scores = rows[wanted], class_ids[wanted], scores[wanted]
        boxes = _corners(rows[:, :4])
        groups = np.zeros_like(class_ids) if thresholds.agnostic_nms else class_ids
        kept = nms(boxes, scores, groups, thresholds.iou, thresholds.max_segments)
        boxes = letterbox.boxes_to_frame(boxes[kept])
        masks = self.masks(outputs[self._prototypes], rows[kept, self._classes_end :], boxes, letterbox)
        return Segments(boxes, scores[kept], class_ids[kept], masks)


def _corners(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Boxes by centre and size (n, 4) to xyxy (n, 4)."""
    half = boxes[:, 2:] / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)
