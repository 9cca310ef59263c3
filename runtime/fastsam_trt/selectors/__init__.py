"""Selectors: which segments are wanted, decided before any mask is decoded that the decision does not need."""

from fastsam_trt.clip.embedder import CropEmbedder, Embedder, Embeddings
from fastsam_trt.selectors.boxes import BoxSelector
from fastsam_trt.selectors.combined import CombinedSelector
from fastsam_trt.selectors.everything import EverythingSelector
from fastsam_trt.selectors.points import PointSelector
from fastsam_trt.selectors.ranking import Ranking
from fastsam_trt.selectors.selection import Selection, Selector, best
from fastsam_trt.selectors.text import TextSelector, match_scores

__all__ = [
    "BoxSelector",
    "CombinedSelector",
    "CropEmbedder",
    "Embedder",
    "Embeddings",
    "EverythingSelector",
    "PointSelector",
    "Ranking",
    "Selection",
    "Selector",
    "TextSelector",
    "best",
    "match_scores",
]
