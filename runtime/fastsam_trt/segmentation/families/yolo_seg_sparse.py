"""Decode YOLOv8-seg, YOLO11-seg and FastSAM whose boxes and masks are computed for chosen anchors only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastsam_engine.session import Session
from fastsam_trt.frames.letterbox import Letterbox
from fastsam_trt.segmentation.decoder import OpenPart, Outputs, Thresholds, register
from fastsam_trt.segmentation.families.yolo_seg import MAX_CANDIDATES
from fastsam_trt.segmentation.nms import nms
from fastsam_trt.segmentation.sparse_decoder import SparseDecoder
from fastsam_trt.sparse.candidates import Candidates, above, scores_of


@register
class YoloSegSparseDecoder(SparseDecoder):
    """Decodes the highest class logit per anchor, and its class, to segments by NMS."""

    family = "yolo-seg-sparse"

    def __init__(self, session: Session, open_part: OpenPart) -> None:
        super().__init__(session, open_part)
        self._classes = next((each.name for each in self.spec.outputs if each.meaning == "anchor-classes"), None)

    def candidates(self, outputs: Outputs, thresholds: Thresholds) -> Candidates:
        logits: NDArray[np.float32] = outputs[self._best][0]
        anchors = above(logits, thresholds.conf)
        if len(anchors) > MAX_CANDIDATES:
            anchors = np.sort(anchors[np.argpartition(-logits[anchors], MAX_CANDIDATES)[:MAX_CANDIDATES]])
        class_ids = np.zeros(len(anchors), np.int32)
        if self._classes is not None:
            class_ids = outputs[self._classes][0][anchors].astype(np.int32)
        found = Candidates(anchors, scores_of(logits[anchors]), class_ids)
        return found if thresholds.classes is None else found.take(np.isin(class_ids, thresholds.classes))

    def kept(
        self, found: Candidates, boxes: NDArray[np.float32], letterbox: Letterbox, thresholds: Thresholds
    ) -> NDArray[np.intp]:
        groups = np.zeros_like(found.class_ids) if thresholds.agnostic_nms else found.class_ids
        return nms(boxes, found.scores, groups, thresholds.iou, thresholds.max_segments)

    def independent(self, thresholds: Thresholds) -> bool:
        return not thresholds.agnostic_nms
