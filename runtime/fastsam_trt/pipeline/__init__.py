"""The pipeline: frames and prompts in, results out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastsam_engine.import_names import lazy_names

if TYPE_CHECKING:
    from fastsam_trt.pipeline.pipeline import Pipeline

__all__ = ["Pipeline"]
__getattr__ = lazy_names(
    __name__,
    {"Pipeline": "fastsam_trt.pipeline.pipeline"},
    moved={"DEFAULT_MODEL": "fastsam_trt.default_models", "DEFAULT_CLIP": "fastsam_trt.default_models"},
)
