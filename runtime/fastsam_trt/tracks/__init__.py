"""Tracks: segments are associated across frames, and what CLIP says of an object is kept along its track."""

from fastsam_trt.tracks.embeddings import TrackEmbeddings
from fastsam_trt.tracks.tracker import KEEP_FRAMES, Tracker

__all__ = ["KEEP_FRAMES", "TrackEmbeddings", "Tracker"]
