"""Decode end-to-end YOLO (YOLO26-seg) whose boxes and masks are computed for chosen anchors only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastsam_engine.session import Session
from fastsam_trt.frames.letterbox import Letterbox
from fastsam_trt.segmentation.decoder import OpenPart, Outputs, Thresholds, register
from fastsam_trt.segmentation.families.yolo_end2end import has_area
from fastsam_trt.segmentation.sparse_decoder import SparseDecoder
from fastsam_trt.sparse.candidates import Candidates, above, scores_of

_MOST = 300  # detections of the dense graph: of so many anchors, and of so many of their classes


@register
class YoloEnd2EndSparseDecoder(SparseDecoder):
    """Decodes class logits per anchor to segments, as the end of the dense graph does: the best anchors, all classes.

    The model is trained to detect each object once, so overlaps are not removed: the threshold `iou` has no effect.
    """

    family = "yolo-end2end-sparse"

    def __init__(self, session: Session, open_part: OpenPart) -> None:
        super().__init__(session, open_part)
        self._logits = [output.name for output in self.spec.outputs if output.meaning == "class-logits"]

    def candidates(self, outputs: Outputs, thresholds: Thresholds) -> Candidates:
        best: NDArray[np.float32] = outputs[self._best][0]
        anchors = above(best, thresholds.conf)
        anchors = anchors[np.argsort(-scores_of(best[anchors]), kind="stable")[:_MOST]]  # equal scores: lowest first
        maps = [outputs[name][0].reshape(-1, len(self.spec.class_names)) for name in self._logits]
        edges = np.cumsum([len(each) for each in maps])
        level_of = np.searchsorted(edges, anchors, side="right")
        logits = np.empty((len(anchors), len(self.spec.class_names)), np.float32)
        for level, each in enumerate(maps):
            logits[level_of == level] = each[anchors[level_of == level] - edges[level] + len(each)]
        scores = scores_of(logits)
        at, class_ids = np.nonzero(scores > thresholds.conf)
        pairs = scores[at, class_ids]
        top = np.argsort(-pairs, kind="stable")[:_MOST]
        found = Candidates(anchors[at[top]], pairs[top], class_ids[top].astype(np.int32))
        return found if thresholds.classes is None else found.take(np.isin(found.class_ids, thresholds.classes))

    def kept(
        self, found: Candidates, boxes: NDArray[np.float32], letterbox: Letterbox, thresholds: Thresholds
    ) -> NDArray[np.intp]:
        order = np.argsort(-found.scores, kind="stable")
        return order[has_area(letterbox.boxes_to_frame(boxes[order]))][: thresholds.max_segments]
