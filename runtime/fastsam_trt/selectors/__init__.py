"""Selectors: which segments are wanted, decided before any mask is decoded."""

from fastsam_trt.selectors.everything import EverythingSelector
from fastsam_trt.selectors.selection import Selection, Selector
from fastsam_trt.selectors.text import TextSelector, match_scores

__all__ = ["EverythingSelector", "Selection", "Selector", "TextSelector", "match_scores"]
