"""Adopt SegFormer: one graph that outputs logits of every class at a quarter of the size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fastsam_export.adopt.image_processor import IMAGENET, ProcessorDefaults
from fastsam_export.adopt.ready_family import AdoptionRequest, ReadyFamily, register
from fastsam_export.adopt.repository import Repository
from fastsam_export.adopt.segmenter import SegmenterKind, adopt_segmenter
from fastsam_export.family import Exported

_KIND = SegmenterKind(
    family="segformer",
    meanings={"logits": "class-logits"},
    classes_axis=1,
    extra_classes=0,
    size_multiple=32,
    processor=ProcessorDefaults("bilinear", *IMAGENET),
    thresholds={"conf": 0.0, "iou": 1.0, "max_segments": 300},
)


@register
class ReadySegformer(ReadyFamily):
    """SegFormer for semantic segmentation in the layout of transformers.js."""

    description = "SegFormer"

    def recognises(self, repository: Repository) -> bool:
        return repository.model_type == "segformer"

    def adopt(
        self, repository: Repository, request: AdoptionRequest, folder: Path, step: Callable[[str], None]
    ) -> list[Exported]:
        return adopt_segmenter(_KIND, repository, request, folder, step)
