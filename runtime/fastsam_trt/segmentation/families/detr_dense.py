"""Decode DETR panoptic in one graph, which computes the masks of all queries, as on public hubs."""

from __future__ import annotations

import numpy as np

from fastsam_engine.session import Session
from fastsam_trt.frames.letterbox import Letterbox
from fastsam_trt.masks.map_to_frame import MapToFrameCache
from fastsam_trt.segmentation import panoptic_merge
from fastsam_trt.segmentation.decoder import Decoder, OpenPart, Outputs, Thresholds, register
from fastsam_trt.segmentation.segments import Segments


@register
class DenseDetrDecoder(Decoder):
    """Decodes class logits (1, q, classes + 1) and mask logits (1, q, h, w) to segments that do not overlap."""

    family = "detr-dense"

    def __init__(self, session: Session, open_part: OpenPart) -> None:
        super().__init__(session, open_part)
        names = {output.meaning: output.name for output in self.spec.outputs}
        self._classes, self._masks = names["query-class-logits"], names["query-mask-logits"]
        self._resizes = MapToFrameCache()

    def decode(self, outputs: Outputs, letterbox: Letterbox, thresholds: Thresholds) -> Segments:
        queries = panoptic_merge.choose_queries(outputs[self._classes][0], thresholds.conf, thresholds.max_segments)
        if not len(queries):
            return panoptic_merge.no_segments(letterbox)
        logits = np.asarray(outputs[self._masks][0][queries.indices], np.float32)
        resize = self._resizes.get(letterbox, *logits.shape[1:])
        return panoptic_merge.merge(panoptic_merge.sigmoid(logits), queries, resize, thresholds.classes)
