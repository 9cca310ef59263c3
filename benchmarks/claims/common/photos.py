"""Photos of a folder, and frames of any size that are tiled with a photo."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from claims.common import harness

# isort: split
import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_trt.frames.image import IMAGE_SUFFIXES, read_image


def list_photos(given: Sequence[Path]) -> list[Path]:
    """The photos among files, and in folders.

    Raises:
        BenchmarkError: A path does not exist, or there is no photo.
    """
    harness.require(files=given)
    found = [
        path
        for each in given
        for path in (sorted(each.iterdir()) if each.is_dir() else [each])
        if path.suffix.lower() in IMAGE_SUFFIXES
    ]
    if not found:
        raise harness.BenchmarkError(f"expected photos in {', '.join(map(str, given))}, found none")
    return found


def tile(photo: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """A frame (height, width, 3) tiled with a photo of that height, so that it shows real objects."""
    width_px = round(photo.shape[1] * height / photo.shape[0])
    scaled = photo if photo.shape[0] == height else cv2.resize(photo, (width_px, height), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(np.tile(scaled, (1, -(-width // width_px), 1))[:, :width], np.uint8)


def save_frame(folder: Path, name: str, photo: Path, height: int, width: int) -> Path:
    """Write a tiled frame as PNG; returns its path."""
    path = folder / f"{name}.png"
    if not cv2.imwrite(str(path), tile(read_image(photo), height, width)):
        raise harness.BenchmarkError(f"expected to write {path}, found that OpenCV can't")
    return path
