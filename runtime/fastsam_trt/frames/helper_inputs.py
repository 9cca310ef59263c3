"""Geometry of frames, as the arrays that a model's helper graphs take.

They are the same for all frames of a source, so they are made, and uploaded, once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastsam_engine.spec.model_input import ImageInput
from fastsam_trt.frames.axis_resize import antialiased
from fastsam_trt.frames.letterbox import Letterbox
from fastsam_trt.frames.map_axis import map_axes

Inputs = dict[str, NDArray[np.float32]]
"""Arrays by the names that the graph has for them."""

_NOWHERE = -1.0
_PIXELS_A_BYTE = 8


def frame_coordinates(letterbox: Letterbox) -> Inputs:
    """Where the rows and columns of a letterboxed input lie in the frame, for the preprocess graph.

    Returns:
        `rows` (input_h,) and `columns` (input_w,) float32, px of the frame, the first pixel's centre at 0; -1 where it
        is padding.
    """
    return {
        "rows": _frame_places(letterbox.frame_h, letterbox.input_h, letterbox.content_h, letterbox.top),
        "columns": _frame_places(letterbox.frame_w, letterbox.input_w, letterbox.content_w, letterbox.left),
    }


def stretch_weights(letterbox: Letterbox, image: ImageInput) -> Inputs:
    """What the rows and columns of a stretched input are made of, for the preprocess graph.

    Args:
        letterbox: Where the frame lies: nothing is padded.
        image: The model's input, whose resize is antialiased.

    Returns:
        `row_weights` (input_h, frame_h) and `column_weights` (input_w, frame_w) float32; each row sums to one.
    """
    return {
        "row_weights": _weights(image, letterbox.frame_h, letterbox.input_h),
        "column_weights": _weights(image, letterbox.frame_w, letterbox.input_w),
    }


def prototype_coordinates(letterbox: Letterbox, cells_h: int, cells_w: int, *, fine: bool = True) -> Inputs:
    """Where the frame's rows and columns lie in prototypes, for the decode graph.

    Args:
        letterbox: Where the frame lies in the model's input.
        cells_h, cells_w: Size of the prototypes, which cover the input.
        fine: Whether the graph takes fine cells (see `MapAxis`), which files exported earlier do not. Masks by
            those differ only where the frame's edges cut through cells, by the curve of a mask's rim.

    Returns:
        `rows` (frame_h,) and `columns` (W,) float32, fine cells, the first one's centre at 0; `row_cells` and
        `column_cells` float32, where the fine cells lie in the prototypes, cells, the first one's centre at 0;
        `row_numbers` (frame_h,) and `column_numbers` (W,) float32, px. W is frame_w rounded up to a multiple of 8;
        what is too much has the number -1, and so lies in no box. If not `fine`, rows and columns lie in cells.
    """
    down, across = map_axes(letterbox, cells_h, cells_w)
    filling = 0, -letterbox.frame_w % _PIXELS_A_BYTE
    places = {
        "row_numbers": np.arange(letterbox.frame_h, dtype=np.float32),
        "column_numbers": np.pad(np.arange(letterbox.frame_w, dtype=np.float32), filling, constant_values=_NOWHERE),
    }
    rows, columns = down.pixels(), across.pixels()
    if fine:
        places |= {"row_cells": _float32(down.fine_cells()), "column_cells": _float32(across.fine_cells())}
    else:
        rows, columns = (
            np.interp(pixels, np.arange(len(cells)), cells)
            for pixels, cells in ((rows, down.fine_cells()), (columns, across.fine_cells()))
        )
    return {**places, "rows": _float32(rows), "columns": np.pad(_float32(columns), filling)}


def unpack_masks(packed: NDArray[np.uint8], width: int) -> NDArray[np.bool_]:
    """Masks as the decode graph gives them, (n, H, W / 8) uint8, to (n, H, width) bool."""
    return np.unpackbits(packed, axis=2, count=width).view(np.bool_)


def _frame_places(frame: int, made: int, content: int, first: int) -> NDArray[np.float32]:
    places = np.full(made, _NOWHERE, np.float32)
    inside = (np.arange(content) + 0.5) * (frame / content) - 0.5
    places[first : first + content] = inside.clip(0, frame - 1)
    return places


def _weights(image: ImageInput, frame: int, made: int) -> NDArray[np.float32]:
    return antialiased(image.interpolation, frame, made, 0, made).apply(np.eye(frame, dtype=np.float32), 0, made)


def _float32(values: NDArray[np.float64]) -> NDArray[np.float32]:
    return values.astype(np.float32)
