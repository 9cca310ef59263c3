"""Warm up models: run each part once, so that what compiles, loads or allocates on first use has done so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from numbers import Integral

import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_trt.clip.model import Clip
from fastsam_trt.errors import OptionError
from fastsam_trt.frames.rectangles import Rectangle
from fastsam_trt.masks.batch_ladder import LADDER
from fastsam_trt.pipeline.models import Models
from fastsam_trt.segmentation.segmenter import Segmenter

DEFAULT_SIZE = (720, 1280)
"""(height, width) of frames to warm up for, px: a common camera's."""

_CONFS = (0.5, 0.1, 0.02, 0.005, 0.001, 0.0)  # tried in turn, since nobody knows what a model finds in noise
_SEGMENTS = 4  # a handful, as a prompt selects: so few that cut models compute patches, as they do for real


def check_size(size: Sequence[int]) -> tuple[int, int]:
    """The (height, width) of a size or an array's shape.

    Raises:
        OptionError: It is not (H, W) or (H, W, C) in whole px of 1 or more.
    """
    sides = tuple(size) if isinstance(size, Sequence) and not isinstance(size, str) else ()
    if len(sides) not in (2, 3) or not all(isinstance(side, Integral) and side >= 1 for side in sides):
        raise OptionError("sizes", "(height, width) of frames, px", size)
    return int(sides[0]), int(sides[1])


def warm_up(models: Models, size: tuple[int, int], rectangle: Rectangle) -> None:
    """Run the segmenter on a frame of noise, decode masks of what it finds there, and run CLIP if it is open.

    Args:
        models: The open models.
        size: (height, width) of the frame, px.
        rectangle: Size of the model's input.
    """
    frame = _noise(size)
    _warm_up_segmenter(models.segmenter, frame, rectangle)
    if models.clip.opened is not None:
        _warm_up_clip(models.clip.opened, frame)


def _warm_up_segmenter(segmenter: Segmenter, frame: NDArray[np.uint8], rectangle: Rectangle) -> None:
    thresholds = replace(segmenter.thresholds, classes=None, max_segments=_SEGMENTS)
    for conf in dict.fromkeys(min(conf, thresholds.conf) for conf in _CONFS):
        segments = segmenter.segment(frame, replace(thresholds, conf=conf), rectangle)
        if len(segments):
            segments.masks.decode(range(len(segments)))
            return


def _warm_up_clip(clip: Clip, frame: NDArray[np.uint8]) -> None:
    height, width = frame.shape[:2]
    box = np.array([[0, 0, width, height]], np.float32)
    for count in LADDER:
        clip.embed_boxes(frame, np.repeat(box, count, axis=0))


def _noise(size: tuple[int, int]) -> NDArray[np.uint8]:
    """A frame of coloured blobs, the same every time, (H, W, 3) uint8 BGR."""
    cells = np.random.default_rng(0).integers(0, 256, (9, 16, 3), np.uint8)
    return np.asarray(cv2.resize(cells, (size[1], size[0]), interpolation=cv2.INTER_LINEAR), np.uint8)
