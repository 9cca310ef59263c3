"""Label maps: one class or segment index per pixel, written as PASCAL VOC does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_engine.errors import OutputError
from fastsam_engine.store.atomic_files import write_atomically
from fastsam_trt.results.palette_png import encode_palette
from fastsam_trt.results.selected import SelectedSegments

_HIGHEST_UINT8 = 254  # 255 is VOC's "ignore this pixel"

LabelMap: TypeAlias = NDArray[np.uint8 | np.uint16]


def label_map(result: SelectedSegments) -> LabelMap:
    """The class of every pixel.

    Args:
        result: A frame's result; its masks are decoded if they are not yet.

    Returns:
        (H, W): 1 + class id inside selected segments, 0 (background) elsewhere. Where segments overlap, the highest
        score wins; the first one if scores are equal. uint8 for a model of up to 254 classes, else uint16.
    """
    values = result.class_ids.astype(np.int64) + 1
    return _paint(result, values.tolist(), max(len(result.class_names), int(values.max(initial=0))))


def instance_map(result: SelectedSegments) -> LabelMap:
    """The segment of every pixel.

    Args:
        result: A frame's result; its masks are decoded if they are not yet.

    Returns:
        (H, W): 1 + the index of the segment in the result, 0 elsewhere; overlaps as in `label_map`. uint8 for up to 254
        segments, else uint16.
    """
    return _paint(result, range(1, len(result) + 1), len(result))


def voc_palette() -> NDArray[np.uint8]:
    """PASCAL VOC's palette, (256, 3) uint8 RGB: 0 (background) is black, 255 is (224, 224, 192).

    The bits of an index, lowest first, go to red, green and blue in turn and fill each channel from its highest bit
    down (`VOClabelcolormap.m` of the VOC development kit).
    """
    bits = np.arange(256)[:, None] >> np.arange(8) & 1  # (256, 8), lowest first
    shifts = 7 - np.arange(8) // 3
    palette = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        palette[:, bit % 3] |= (bits[:, bit] << shifts[bit]).astype(np.uint8)
    return palette


def encode(labels: LabelMap) -> bytes:
    """Encode a map as PNG. uint8 maps get VOC's palette: viewers show colours, readers get the numbers.

    Args:
        labels: (H, W) uint8 or uint16; uint16 becomes a 16-bit grey image, since a palette has at most 256 colours.

    Returns:
        The bytes of the file.

    Raises:
        ValueError: The map has another shape or dtype.
    """
    if labels.dtype == np.uint16:
        return cv2.imencode(".png", labels)[1].tobytes()
    return encode_palette(labels, voc_palette())


def save(path: Path | str, labels: LabelMap) -> None:
    """Write a map as PNG, atomically.

    Args:
        path: The file, with the suffix `.png`.
        labels: See `encode`.

    Raises:
        OutputError: The file has another suffix or can't be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise OutputError(path, f"expected the suffix .png, found {path.suffix!r}")
    write_atomically(path, encode(labels))


def _paint(result: SelectedSegments, values: Sequence[int], highest: int) -> LabelMap:
    height, width = result.size
    dtype: type[np.uint8 | np.uint16] = np.uint8 if highest <= _HIGHEST_UINT8 else np.uint16
    labels = np.zeros((height, width), dtype)
    crops = result.mask_crops()
    for index in np.argsort(-result.scores, kind="stable")[::-1].tolist():
        left, top, pixels = crops[index]
        region = labels[top : top + pixels.shape[0], left : left + pixels.shape[1]]
        region[pixels] = values[index]
    return labels
