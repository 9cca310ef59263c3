"""Segments of successive frames, associated into tracks."""

from fastsam_trt.tracking.tracker import KEEP_FRAMES, Tracker

__all__ = ["KEEP_FRAMES", "Tracker"]
