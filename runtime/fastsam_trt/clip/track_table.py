"""TrackTable: what is known of each track's embedding, in arrays that grow and are compacted."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.clip.appearance_change import LOOK

_RECORD = np.dtype(
    [
        ("id", np.int32),
        ("times", np.int32),  # how often it was embedded
        ("age", np.int32),  # frames since it was embedded
        ("away", np.int32),  # frames since it was seen
        ("judged", np.bool_),  # in this frame
        ("margin", np.float32),  # of its last judgement; NaN before
        ("sides", np.float32, (2,)),  # width and height that it was embedded on, px
        ("wanted_s", np.float64),  # since when a crop of it waits; NaN: none does
        ("watched", np.bool_),  # its look, in this frame
        ("changed", np.bool_),  # its look, since it was embedded
        ("restless", np.float32, (2,)),  # how much its look changes from frame to frame, by each measure
        ("look", LOOK),  # when it was last watched
        ("embedded_look", LOOK),
    ]
)
_BLANK = np.zeros((), _RECORD)
_BLANK["margin"] = _BLANK["wanted_s"] = np.nan
_BLANK["look"]["cells"] = _BLANK["embedded_look"]["cells"] = np.nan
_FIRST_CAPACITY = 64


class TrackTable:
    """Records and vectors of tracks, one row each. Rows move when tracks are dropped, so look them up by id."""

    def __init__(self) -> None:
        self._rows = 0
        self._records = np.empty(_FIRST_CAPACITY, _RECORD)
        self._vectors = np.zeros((_FIRST_CAPACITY, 0), np.float32)
        self._order = np.empty(0, np.intp)  # rows by rising id

    def __len__(self) -> int:
        return self._rows

    @property
    def records(self) -> NDArray[Any]:
        """(r,) structured, to be read and written: `id`, `times`, `age`, `away`, `judged`, `margin` and so on."""
        return self._records[: self._rows]

    @property
    def vectors(self) -> NDArray[np.float32]:
        """(r, d) float32, to be read and written; d is 0 before the first `widen`."""
        return self._vectors[: self._rows]

    def find(self, ids: NDArray[np.int32]) -> NDArray[np.intp]:
        """Rows of (n,) ids, each at most once; -1 for one that has none."""
        if not self._rows:
            return np.full(len(ids), -1, np.intp)
        known = self.records["id"][self._order]
        rows = self._order[np.minimum(np.searchsorted(known, ids), self._rows - 1)]
        return np.where(self.records["id"][rows] == ids, rows, -1)

    def known(self, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Whether the embeddings of (k,) rows hold: they were made, and the tracks look as they did then."""
        records = self.records[rows]
        known: NDArray[np.bool_] = (records["times"] > 0) & ~records["changed"]
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
        """Drop the rows where `kept` (r,) is False, and give back room that is no longer needed."""
        rows = int(kept.sum())
        if rows == self._rows:
            return
        capacity = max(2 * rows, _FIRST_CAPACITY) if 4 * rows < len(self._records) else len(self._records)
        records, vectors = self.records[kept], self.vectors[kept]
        if capacity < len(self._records):
            self._records = np.empty(capacity, _RECORD)
            self._vectors = np.zeros((capacity, vectors.shape[1]), np.float32)
        self._records[:rows], self._vectors[:rows] = records, vectors
        self._rows = rows
        self._sort()

    def widen(self, dimensions: int) -> None:
        """Make room for vectors of some length, if there is none yet."""
        if self._vectors.shape[1] != dimensions:
            self._vectors = np.zeros((len(self._records), dimensions), np.float32)

    def _sort(self) -> None:
        self._order = np.argsort(self.records["id"], kind="stable")
