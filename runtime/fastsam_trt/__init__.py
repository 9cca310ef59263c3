"""Text prompts select segments in images and live video, from exported models.

Names are loaded on first use, so that `import fastsam_trt` costs next to nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fastsam_engine.import_names import keep_old_paths, lazy_names

if TYPE_CHECKING:
    from fastsam_engine.errors import FastsamError
    from fastsam_trt.pipeline.pipeline import Pipeline
    from fastsam_trt.results.result import Result
    from fastsam_trt.results.segment import Segment
    from fastsam_trt.segmentation.segmenter import Segmenter
    from fastsam_trt.sources import open_source

__version__ = "0.1.0"
__all__ = ["FastsamError", "Pipeline", "Result", "Segment", "Segmenter", "__version__", "open_source"]

__getattr__ = lazy_names(
    __name__,
    {
        "FastsamError": "fastsam_engine.errors",
        "Pipeline": "fastsam_trt.pipeline.pipeline",
        "Result": "fastsam_trt.results.result",
        "Segment": "fastsam_trt.results.segment",
        "Segmenter": "fastsam_trt.segmentation.segmenter",
        "open_source": "fastsam_trt.sources.opener",
    },
)
keep_old_paths(__name__, Path(__file__).parent)
