"""Geometry of frames, as the arrays that a model's helper graphs take.

They are the same for all frames of a source, so they are made, and uploaded, once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastsam_engine.model_spec import ImageInput
from fastsam_trt.axis_resize import antialiased
from fastsam_trt.letterbox import Letterbox

Inputs = dict[str, NDArray[np.float32]]
"""Arrays by the names that the graph has for them."""

_NOWHERE = -1.0
_PIXELS_A_BYTE = 8


def frame_places(letterbox: Letterbox) -> Inputs:
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


def cell_places(letterbox: Letterbox, cells_h: int, cells_w: int) -> Inputs:
    """Where the frame's rows and columns lie in prototypes, for the decode graph.

    Args:
        letterbox: Where the frame lies in the model's input.
        cells_h, cells_w: Size of the prototypes, which cover the input.

    Returns:
        `rows` (frame_h,) and `columns` (W,) float32, cells, the first one's centre at 0; `row_numbers` (frame_h,) and
        `column_numbers` (W,) float32, px. W is frame_w rounded up to a multiple of 8; what is too much has the number
        -1, and so lies in no box.
    """
    down, across = cells_h / letterbox.input_h, cells_w / letterbox.input_w
    rows = _cell_places(letterbox.frame_h, letterbox.gain_y * down, letterbox.top * down, cells_h)
    columns = _cell_places(letterbox.frame_w, letterbox.gain_x * across, letterbox.left * across, cells_w)
    filling = 0, -letterbox.frame_w % _PIXELS_A_BYTE
    return {
        "rows": rows,
        "columns": np.pad(columns, filling),
        "row_numbers": np.arange(letterbox.frame_h, dtype=np.float32),
        "column_numbers": np.pad(np.arange(letterbox.frame_w, dtype=np.float32), filling, constant_values=_NOWHERE),
    }


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


def _cell_places(frame: int, gain: float, offset: float, cells: int) -> NDArray[np.float32]:
    """See `PlaneResize`, which lays its cells out the same way."""
    return ((np.arange(frame) + 0.5) * gain + offset - 0.5).clip(0, cells - 1).astype(np.float32)
