"""Tools of the workers: read the picture, convert it for pillow, and use all cores in PyTorch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


def read_frame(path: Path) -> NDArray[np.uint8]:
    """Read a picture, (H, W, 3) uint8 BGR.

    Raises:
        ValueError: The file can't be read as a picture.
    """
    frame = cv2.imread(str(path))
    if frame is None:
        raise ValueError(f"expected a picture in {path}, found none that can be read")
    return np.asarray(frame, np.uint8)


def as_pillow(frame: NDArray[np.uint8]) -> Any:
    """Convert a picture for pillow, RGB."""
    from PIL import Image

    return Image.fromarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))


def use_all_cores() -> int:
    """Let PyTorch use all cores; returns their number."""
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch.set_num_threads(cores)
    return cores
