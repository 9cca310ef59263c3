"""Select segments by text, box or point, before masks are decoded."""

from fastsam_engine.import_names import renamed_names
from fastsam_trt.clip.embedder import CropEmbedder, Embedder, Embeddings
from fastsam_trt.selectors.boxes import BoxSelector
from fastsam_trt.selectors.combined import CombinedSelector, EverythingSelector
from fastsam_trt.selectors.points import PointSelector
from fastsam_trt.selectors.selection import Ranking, Selection, Selector
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
    "match_scores",
]

__getattr__ = renamed_names(__name__, {"EveryCrop": "CropEmbedder", "Embedded": "Embeddings"})
