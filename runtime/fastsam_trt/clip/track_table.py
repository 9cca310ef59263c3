"""TrackTable: the embedding and the history of each track, in arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.clip.appearance_change import APPEARANCE

_RECORD = np.dtype(
    [
        ("id", np.int32),
        ("embed_count", np.int32),  # how often the track was embedded
        ("age_frames", np.int32),  # since it was embedded
        ("lost_frames", np.int32),  # since it was seen
        ("scored", np.bool_),  # whether a margin was recorded in this frame
        ("margin", np.float32),  # last recorded margin; NaN: none
        ("embedded_sides_px", np.float32, (2,)),  # width and height of the box that was embedded
        ("waiting_since_s", np.float64),  # since when a crop of it waits to be embedded; NaN: none waits
        ("compared", np.bool_),  # whether its appearance was compared in this frame
        ("changed", np.bool_),  # whether it looks different since it was embedded
        ("usual_change", np.float32, (2,)),  # average change from frame to frame, at each rank of a jump
        ("appearance", APPEARANCE),  # when it was last compared
        ("embedded_appearance", APPEARANCE),
    ]
)
_BLANK = np.zeros((), _RECORD)
_BLANK["margin"] = _BLANK["waiting_since_s"] = np.nan
_BLANK["appearance"]["cells"] = _BLANK["embedded_appearance"]["cells"] = np.nan
_MIN_CAPACITY = 64


class TrackTable:
    """One record and one embedding per track. Rows move when tracks are dropped, so look them up by id."""

    def __init__(self) -> None:
        self._rows = 0
        self._records = np.empty(_MIN_CAPACITY, _RECORD)
        self._vectors = np.zeros((_MIN_CAPACITY, 0), np.float32)
        self._order = np.empty(0, np.intp)  # rows in ascending order of their ids

    def __len__(self) -> int:
        return self._rows

    @property
    def records(self) -> NDArray[Any]:
        """(r,) structured array, writable: `id`, `embed_count`, `age_frames` and so on."""
        return self._records[: self._rows]

    @property
    def vectors(self) -> NDArray[np.float32]:
        """(r, d) float32, writable; d is 0 before the first `set_dimensions`."""
        return self._vectors[: self._rows]

    def find(self, ids: NDArray[np.int32]) -> NDArray[np.intp]:
        """Return the rows of (n,) ids; -1 for an id without a row."""
        if not self._rows:
            return np.full(len(ids), -1, np.intp)
        known = self.records["id"][self._order]
        rows = self._order[np.minimum(np.searchsorted(known, ids), self._rows - 1)]
        return np.where(self.records["id"][rows] == ids, rows, -1)

    def known(self, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Whether the embeddings of (k,) rows are valid: made, and of objects that have not changed since."""
        records = self.records[rows]
        known: NDArray[np.bool_] = (records["embed_count"] > 0) & ~records["changed"]
        return known

    def add(self, ids: NDArray[np.int32]) -> None:
        """Add blank rows for (k,) ids that have none."""
        rows = self._rows + len(ids)
        if rows > len(self._records):
            capacity = max(rows, 2 * len(self._records))
            self._records = np.resize(self._records, capacity)
            self._vectors = np.resize(self._vectors, (capacity, self._vectors.shape[1]))
        self._records[self._rows : rows] = _BLANK
        self._records["id"][self._rows : rows] = ids
        self._vectors[self._rows : rows] = 0
        self._rows = rows
        self._sort()

    def keep(self, kept: NDArray[np.bool_]) -> None:
        """Drop the rows where `kept` (r,) is False, and release memory that is no longer needed."""
        rows = int(kept.sum())
        if rows == self._rows:
            return
        capacity = max(2 * rows, _MIN_CAPACITY) if 4 * rows < len(self._records) else len(self._records)
        records, vectors = self.records[kept], self.vectors[kept]
        if capacity < len(self._records):
            self._records = np.empty(capacity, _RECORD)
            self._vectors = np.zeros((capacity, vectors.shape[1]), np.float32)
        self._records[:rows], self._vectors[:rows] = records, vectors
        self._rows = rows
        self._sort()

    def set_dimensions(self, dimensions: int) -> None:
        """Set the length of the vectors; existing vectors are cleared if it changes."""
        if self._vectors.shape[1] != dimensions:
            self._vectors = np.zeros((len(self._records), dimensions), np.float32)

    def _sort(self) -> None:
        self._order = np.argsort(self.records["id"], kind="stable")
