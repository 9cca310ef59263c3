"""Decode DETR panoptic: queries with classes; a second graph computes the masks of the chosen queries."""

from __future__ import annotations

import numpy as np

from fastsam_engine.session import Session
from fastsam_trt.frames.letterbox import Letterbox
from fastsam_trt.masks.map_to_frame import MapToFrameCache
from fastsam_trt.segmentation import panoptic_merge
from fastsam_trt.segmentation.decoder import Decoder, OpenPart, Outputs, Thresholds, register
from fastsam_trt.segmentation.segments import Segments


@register
class DetrDecoder(Decoder):
    """Decodes class logits (1, q, classes + 1) and features to segments that do not overlap."""

    family = "detr"

    def __init__(self, session: Session, open_part: OpenPart) -> None:
        super().__init__(session, open_part)
        self._classes = next(output.name for output in self.spec.outputs if output.meaning == "query-class-logits")
        self._head = open_part("masks")
        self._queries, *self._features = self._head.spec.input_names
        self._masks = self._head.spec.outputs[0].name
        self._resizes = MapToFrameCache()

    def decode(self, outputs: Outputs, letterbox: Letterbox, thresholds: Thresholds) -> Segments:
        queries = panoptic_merge.choose_queries(outputs[self._classes][0], thresholds.conf, thresholds.max_segments)
        if not len(queries):
            return panoptic_merge.no_segments(letterbox)
        chosen = np.ascontiguousarray(outputs[self._queries][:, queries.indices])
        features = {name: outputs[name] for name in self._features}
        logits = np.asarray(self._head.run({self._queries: chosen, **features})[self._masks][0], np.float32)
        resize = self._resizes.get(letterbox, *logits.shape[1:])
        return panoptic_merge.merge(panoptic_merge.sigmoid(logits), queries, resize, thresholds.classes)
