"""Label maps: one number a pixel, for panoptic, semantic and any other output, as PASCAL VOC writes them."""

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
from fastsam_trt.results.result import Result

_HIGHEST_UINT8 = 254  # VOC's 255 means "do not score this pixel"; it stays free

LabelMap: TypeAlias = NDArray[np.uint8 | np.uint16]


def label_map(result: Result) -> LabelMap:
    """What each pixel shows.

    Args:
        result: A frame's result; its masks are decoded if they are not yet.

    Returns:
        (H, W): 1 + class id where a selected segment is, else 0 (background). Where segments overlap, the one with the
        higher score has the pixel, of two equal ones the first. uint8 for a model of up to 254 classes, else uint16.
    """
    values = result.class_ids.astype(np.int64) + 1
    return _paint(result, values.tolist(), max(len(result.class_names), int(values.max(initial=0))))


def instance_map(result: Result) -> LabelMap:
    """Which segment each pixel belongs to.

    Args:
        result: A frame's result; its masks are decoded if they are not yet.

    Returns:
        (H, W): 1 + the segment's index in the result, else 0; overlaps as in `label_map`. uint8 for up to 254 segments,
        else uint16.
    """
    return _paint(result, range(1, len(result) + 1), len(result))


def voc_palette() -> NDArray[np.uint8]:
    """PASCAL VOC's colours, (256, 3) uint8 RGB: black is background, (224, 224, 192) is 255.

    The bits of an index, lowest first, go to red, green, blue in turn, and fill each from its highest bit down
    (`VOClabelcolormap.m` of the VOC development kit).
    """
    bits = np.arange(256)[:, None] >> np.arange(8) & 1  # (256, 8), lowest first
    shifts = 7 - np.arange(8) // 3
    palette = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        palette[:, bit % 3] |= (bits[:, bit] << shifts[bit]).astype(np.uint8)
    return palette


def encode(labels: LabelMap) -> bytes:
    """Encode a map as PNG: uint8 with VOC's palette, so that readers see the colours and keep the numbers.

    Args:
        labels: (H, W) uint8 or uint16; uint16 becomes a grey image of 16 bits, since no palette is that long.

    Returns:
        The file.

    Raises:
        ValueError: It is of another shape or dtype.
    """
    if labels.dtype == np.uint16:
        return cv2.imencode(".png", labels)[1].tobytes()
    return encode_palette(labels, voc_palette())


def save(path: Path | str, labels: LabelMap) -> None:
    """Write a map as PNG, beside its target and then into place.

    Args:
        path: The file, named `.png`.
        labels: See `encode`.

    Raises:
        OutputError: It has another suffix or can't be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise OutputError(path, f"expected the suffix .png, found {path.suffix!r}")
    write_atomically(path, encode(labels))


def _paint(result: Result, values: Sequence[int], highest: int) -> LabelMap:
    height, width = result.frame.shape[:2]
    dtype: type[np.uint8 | np.uint16] = np.uint8 if highest <= _HIGHEST_UINT8 else np.uint16
    labels = np.zeros((height, width), dtype)
    crops = result.mask_crops()
    for index in np.argsort(-result.scores, kind="stable")[::-1].tolist():
        left, top, pixels = crops[index]
        region = labels[top : top + pixels.shape[0], left : left + pixels.shape[1]]
        region[pixels] = values[index]
    return labels
