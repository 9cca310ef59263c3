"""Text prompts select segments in images and live video, from exported models.

Names are loaded on first use, so that `import fastsam_trt` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastsam_engine.errors import FastsamError
    from fastsam_trt.pipeline.pipeline import Pipeline
    from fastsam_trt.results.result import Result
    from fastsam_trt.segmentation.segmenter import Segmenter
    from fastsam_trt.sources import open_source

__version__ = "0.1.0"
__all__ = ["FastsamError", "Pipeline", "Result", "Segmenter", "__version__", "open_source"]

_HOMES = {
    "FastsamError": "fastsam_engine.errors",
    "Pipeline": "fastsam_trt.pipeline.pipeline",
    "Result": "fastsam_trt.results.result",
    "Segmenter": "fastsam_trt.segmentation.segmenter",
    "open_source": "fastsam_trt.sources",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
