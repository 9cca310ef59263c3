"""Inputs of a model's helper graphs that depend on the frame's size only, and unpacking of their masks.

They are the same for all frames of a source, so they are computed and uploaded once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastsam_engine.spec.model_input import ImageInput
from fastsam_trt.frames.axis_resize import antialiased
from fastsam_trt.frames.letterbox import Letterbox
from fastsam_trt.frames.map_axis import map_axes

Inputs = dict[str, NDArray[np.float32]]
"""Arrays by the names of the graph's inputs."""

_OUTSIDE = -1.0
_PIXELS_PER_BYTE = 8


def frame_coordinates(letterbox: Letterbox) -> Inputs:
    """Frame coordinates of the rows and columns of a letterboxed input, for the preprocess graph.

    Returns:
        `rows` (input_h,) and `columns` (input_w,) float32, px of the frame, with the first pixel's centre at 0; -1 for
        padding.
    """
    return {
        "rows": _axis_coordinates(letterbox.frame_h, letterbox.input_h, letterbox.content_h, letterbox.top),
        "columns": _axis_coordinates(letterbox.frame_w, letterbox.input_w, letterbox.content_w, letterbox.left),
    }


def stretch_weights(letterbox: Letterbox, image: ImageInput) -> Inputs:
    """Resize weights of the rows and columns of a stretched input, for the preprocess graph.

    Args:
        letterbox: Where the frame lies in the input; there is no padding.
        image: The model's input; its resize is antialiased.

    Returns:
        `row_weights` (input_h, frame_h) and `column_weights` (input_w, frame_w) float32; each row sums to one.
    """
    return {
        "row_weights": _weights(image, letterbox.frame_h, letterbox.input_h),
        "column_weights": _weights(image, letterbox.frame_w, letterbox.input_w),
    }


def prototype_coordinates(letterbox: Letterbox, cells_h: int, cells_w: int, *, fine: bool = True) -> Inputs:
    """Coordinates of the frame's rows and columns in prototypes, for the decode graph.

    Args:
        letterbox: Where the frame lies in the model's input.
        cells_h, cells_w: Size of the prototypes, which cover the model's input.
        fine: Whether the graph accepts fine cells (see `MapAxis`). Graphs of older exports do not; their masks differ
            only where the frame's edges cut through cells, slightly, along the rim of a mask.

    Returns:
        `rows` (frame_h,) and `columns` (W,) float32: positions in fine cells, with the first one's centre at 0.
        `row_cells` and `column_cells` float32: positions of the fine cells in the prototypes, in cells, with the first
        one's centre at 0. `row_numbers` (frame_h,) and `column_numbers` (W,) float32, px. W is frame_w rounded up to a
        multiple of 8; the extra columns have the number -1, so they lie in no box. If not `fine`, `rows` and `columns`
        are positions in cells.
    """
    down, across = map_axes(letterbox, cells_h, cells_w)
    padding = 0, -letterbox.frame_w % _PIXELS_PER_BYTE
    coordinates = {
        "row_numbers": np.arange(letterbox.frame_h, dtype=np.float32),
        "column_numbers": np.pad(np.arange(letterbox.frame_w, dtype=np.float32), padding, constant_values=_OUTSIDE),
    }
    rows, columns = down.pixels(), across.pixels()
    if fine:
        coordinates |= {"row_cells": _float32(down.fine_cells()), "column_cells": _float32(across.fine_cells())}
    else:
        rows, columns = (
            np.interp(pixels, np.arange(len(cells)), cells)
            for pixels, cells in ((rows, down.fine_cells()), (columns, across.fine_cells()))
        )
    return {**coordinates, "rows": _float32(rows), "columns": np.pad(_float32(columns), padding)}


def unpack_masks(packed: NDArray[np.uint8], width: int) -> NDArray[np.bool_]:
    """Masks of the decode graph, (n, H, W / 8) uint8, one bit per pixel, to (n, H, width) bool."""
    return np.unpackbits(packed, axis=2, count=width).view(np.bool_)


def _axis_coordinates(frame: int, length: int, content: int, first: int) -> NDArray[np.float32]:
    coordinates = np.full(length, _OUTSIDE, np.float32)
    inside = (np.arange(content) + 0.5) * (frame / content) - 0.5
    coordinates[first : first + content] = inside.clip(0, frame - 1)
    return coordinates


def _weights(image: ImageInput, frame: int, length: int) -> NDArray[np.float32]:
    return antialiased(image.interpolation, frame, length, 0, length).apply(np.eye(frame, dtype=np.float32), 0, length)


def _float32(values: NDArray[np.float64]) -> NDArray[np.float32]:
    return values.astype(np.float32)
