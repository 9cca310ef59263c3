"""A YOLO segmenter as ultralytics opens it, and its answers in the common form."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from answer import Answer


def open_yolo(path: Path) -> Any:
    """A checkpoint or an export; nothing is looked up on the network, and nothing installed."""
    os.environ.update(YOLO_OFFLINE="true", YOLO_AUTOINSTALL="false", YOLO_VERBOSE="false")
    import ultralytics

    return ultralytics.YOLO(str(path), task="segment")


def as_answer(result: Any, selected: int = -1) -> Answer:
    """One of ultralytics' results; masks that do not have the picture's size are left out."""
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
