"""Segments of successive frames, associated into tracks."""

from fastsam_trt.tracking.tracker import MAX_LOST_FRAMES, Tracker

__all__ = ["MAX_LOST_FRAMES", "Tracker"]
