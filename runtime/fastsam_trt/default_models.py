"""The models that are used if none is named."""

from __future__ import annotations

from pathlib import Path

from fastsam_trt import bundled_models

DEFAULT_MODEL = "yolov8n-seg"
DEFAULT_CLIP = "clip-vit-base-patch32"


def default_clip(*models: str | Path) -> str:
    """The CLIP model for segmentation models: the demo's own if all of them are the demo's.

    Args:
        models: Names, folders or files of segmentation models.
    """
    demo_only = all(str(model) == bundled_models.SEGMENTER for model in models)
    return bundled_models.CLIP if demo_only else DEFAULT_CLIP
