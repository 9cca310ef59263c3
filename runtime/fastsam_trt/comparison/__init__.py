"""Compare several segmentation models on one image, with one selection by text."""

from fastsam_trt.comparison.compare import compare, installed_segmenters
from fastsam_trt.comparison.outcome import Comparison, ModelOutcome, RankedSegment
from fastsam_trt.comparison.page import make_page
from fastsam_trt.comparison.sheet import draw_sheet

__all__ = [
    "Comparison",
    "ModelOutcome",
    "RankedSegment",
    "compare",
    "draw_sheet",
    "installed_segmenters",
    "make_page",
]
