"""Decode Mask2Former: every query has a class and a soft mask."""

from __future__ import annotations

import cv2
import numpy as np

from fastsam_engine.session import Session
from fastsam_trt.frames.letterbox import Letterbox
from fastsam_trt.masks.map_to_frame import MapToFrameCache
from fastsam_trt.segmentation import panoptic_merge
from fastsam_trt.segmentation.decoder import Decoder, OpenPart, Outputs, Thresholds, register
from fastsam_trt.segmentation.segments import Segments

_SIDE = 384  # transformers' post-processing resizes every mask to this size, for any input size


@register
class Mask2FormerDecoder(Decoder):
    """Decodes class logits (1, q, classes + 1) and mask logits (1, q, h, w) to segments that do not overlap."""

    family = "mask2former"

    def __init__(self, session: Session, open_part: OpenPart) -> None:
        super().__init__(session, open_part)
        names = {output.meaning: output.name for output in self.spec.outputs}
        self._classes, self._masks = names["query-class-logits"], names["query-mask-logits"]
        self._resizes = MapToFrameCache()

    def decode(self, outputs: Outputs, letterbox: Letterbox, thresholds: Thresholds) -> Segments:
        queries = panoptic_merge.choose_queries(outputs[self._classes][0], thresholds.conf, thresholds.max_segments)
        planes = np.empty((len(queries), _SIDE, _SIDE), np.float32)
        for plane, logits in zip(planes, outputs[self._masks][0][queries.indices], strict=True):
            cv2.resize(np.asarray(logits, np.float32), (_SIDE, _SIDE), dst=plane, interpolation=cv2.INTER_LINEAR)
        resize = self._resizes.get(letterbox, _SIDE, _SIDE)
        return panoptic_merge.merge(panoptic_merge.sigmoid(planes), queries, resize, thresholds.classes)
