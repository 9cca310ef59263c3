"""Draw scenes of coloured shapes, with an exact mask of every shape."""

from fastsam_trt.demo.scenes import ALL_PAIRS, HELD_OUT_PAIRS, Scene, draw_scene
from fastsam_trt.demo.shapes import COLOURS, SHAPES, Item

__all__ = ["ALL_PAIRS", "COLOURS", "HELD_OUT_PAIRS", "SHAPES", "Item", "Scene", "draw_scene"]
