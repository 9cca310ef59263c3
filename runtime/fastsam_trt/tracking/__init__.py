"""Tracking: which segments of successive frames show the same object."""

from fastsam_trt.tracking.tracker import MAX_LOST_FRAMES, Tracker

__all__ = ["MAX_LOST_FRAMES", "Tracker"]
