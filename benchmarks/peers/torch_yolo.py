"""Open a YOLO segmenter in ultralytics, and convert its results to the common format."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from answer import Answer


def open_yolo(path: Path) -> Any:
    """Open a checkpoint or an export, offline, without installing packages."""
    os.environ.update(YOLO_OFFLINE="true", YOLO_AUTOINSTALL="false", YOLO_VERBOSE="false")
    import ultralytics

    return ultralytics.YOLO(str(path), task="segment")


def as_answer(result: Any, selected: int = -1) -> Answer:
    """Convert a result of ultralytics; masks of another size than the picture are left out."""
    boxes = result.boxes
    masks = None
    if result.masks is None:
        masks = np.zeros((0, *result.orig_shape), np.bool_)
    elif tuple(result.masks.data.shape[1:]) == tuple(result.orig_shape):
        masks = result.masks.data.cpu().numpy().astype(np.bool_)
    return Answer(
        boxes.xyxy.cpu().numpy().astype(np.float32),
        boxes.conf.cpu().numpy().astype(np.float32),
        boxes.cls.cpu().numpy().astype(np.int32),
        masks,
        selected,
    )
