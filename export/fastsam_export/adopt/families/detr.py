"""Adopt DETR panoptic: one graph that computes the masks of all queries."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fastsam_export.adopt.image_processor import IMAGENET, ProcessorDefaults
from fastsam_export.adopt.ready_family import AdoptionRequest, ReadyFamily, register
from fastsam_export.adopt.repository import Repository
from fastsam_export.adopt.segmenter import SegmenterKind, adopt_segmenter
from fastsam_export.family import Exported

_KIND = SegmenterKind(
    family="detr-dense",
    meanings={"logits": "query-class-logits", "pred_masks": "query-mask-logits"},
    classes_axis=2,
    extra_classes=1,  # "no object"
    size_multiple=1,  # any size: the mask head resizes to the size of each level of the pyramid
    processor=ProcessorDefaults("bilinear", *IMAGENET, square=False),
    thresholds={"conf": 0.5, "iou": 1.0, "max_segments": 100},
)


@register
class ReadyDetr(ReadyFamily):
    """DETR panoptic in the layout of transformers.js."""

    description = "DETR panoptic"

    def recognises(self, repository: Repository) -> bool:
        return repository.model_type == "detr"

    def adopt(
        self, repository: Repository, request: AdoptionRequest, folder: Path, step: Callable[[str], None]
    ) -> list[Exported]:
        return adopt_segmenter(_KIND, repository, request, folder, step)
