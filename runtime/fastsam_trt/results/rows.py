"""Which rows of a result an index means: an int, a slice, a mask or a list of rows, as for a NumPy array."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastsam_engine.errors import one_line
from fastsam_trt.errors import SegmentIndexError, SegmentIndexTypeError

Rows: TypeAlias = slice | list[bool] | list[int] | NDArray[np.bool_] | NDArray[np.integer[Any]]
"""Several rows: a slice, a mask of n bool, or row numbers; negative ones count from the end."""

_BY_LABEL = "to select by label, use a list of bool: [label == 'car' for label in result.labels]"


def single_row(index: object, count: int) -> int | None:
    """The row that an int means, from 0 on; None if the index is no int.

    Args:
        index: What a caller put in brackets.
        count: The number of rows.

    Raises:
        SegmentIndexError: There is no such row.
        SegmentIndexTypeError: It is a bool, which comparing `labels`, a list, with a text gives.
    """
    if isinstance(index, bool | np.bool_):
        raise SegmentIndexTypeError(f"the bool {bool(index)}", _BY_LABEL)
    if not isinstance(index, int | np.integer):
        return None
    row = int(index)
    if not -count <= row < count:
        found = f"row {row}" if count else f"row {row}, and nothing was selected"
        raise SegmentIndexError(_expected(count), found)
    return row % count


def several_rows(index: object, count: int) -> NDArray[np.intp]:
    """The rows that a slice, a mask or a list means, (k,) from 0 on.

    Args:
        index: What a caller put in brackets, no int.
        count: The number of rows.

    Raises:
        SegmentIndexError: A row does not exist, or a mask does not have as many values as there are rows.
        SegmentIndexTypeError: It is of another type.
    """
    if isinstance(index, slice):
        return np.arange(count)[index]
    if not (isinstance(index, list | np.ndarray) or hasattr(index, "__array__")):
        raise SegmentIndexTypeError(f"{type(index).__name__} {str(index)[:60]!r}", _BY_LABEL)
    try:
        rows = np.asarray(index)
    except (TypeError, ValueError, RuntimeError) as error:  # a ragged list, or a tensor on a device
        raise SegmentIndexTypeError(f"{type(index).__name__} ({one_line(error)})") from error
    if rows.ndim != 1:
        raise SegmentIndexTypeError(f"an array of shape {rows.shape}")
    if rows.dtype == np.bool_:
        if len(rows) != count:
            raise SegmentIndexError(f"a mask of {count} values, one for each", f"one of {len(rows)}")
        return np.flatnonzero(rows)
    if not len(rows):
        return np.empty(0, np.intp)
    if rows.dtype.kind not in "iu":
        raise SegmentIndexTypeError(f"values of {rows.dtype}", _BY_LABEL)
    outside = (rows < -count) | (rows >= count)
    if outside.any():
        raise SegmentIndexError(_expected(count), f"row {rows[outside][0]}")
    return rows.astype(np.intp) % count


def _expected(count: int) -> str:
    return f"rows from {-count} to {count - 1}" if count else "no row"
