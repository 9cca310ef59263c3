"""Write images to files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_engine.errors import OutputError
from fastsam_engine.store.atomic_files import check_writable, write_atomically

SAVED_IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
"""Suffixes of the formats that can be written."""


def check_image_path(path: Path) -> None:
    """Check, before any work, that an image can be written to a path.

    Raises:
        OutputError: The suffix is not among `SAVED_IMAGE_SUFFIXES`, or the file can't be written.
    """
    if path.suffix.lower() not in SAVED_IMAGE_SUFFIXES:
        raise OutputError(
            path, f"expected a suffix among {', '.join(sorted(SAVED_IMAGE_SUFFIXES))}, found {path.suffix!r}"
        )
    check_writable(path)


def write_image(path: Path, image: NDArray[np.uint8]) -> None:
    """Write (H, W, 3) uint8 BGR to an image file, in the format of its suffix; an interruption leaves the old file.

    Raises:
        OutputError: The format does not take images of this size, or the file can't be written.
    """
    height, width = image.shape[:2]
    try:
        good, data = cv2.imencode(path.suffix, image)
    except cv2.error:
        good = False
    if not good:
        raise OutputError(path, f"its format does not take {width} x {height} px", "use the suffix .png")
    write_atomically(path, data.tobytes())
