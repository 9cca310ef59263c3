"""The ladder of batch sizes: a few sizes that serve any number of rows, where a backend pays for each size."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import repeat
from typing import Literal

import numpy as np

from fastsam_engine import Session
from fastsam_engine.device_array import Array

LADDER = (16, 8, 4, 2, 1)
"""Batch sizes, largest first: few, because a backend compiles, captures or allocates memory for each."""


def batches(session: Session, count: int, most: int) -> Iterator[tuple[slice, int]]:
    """Split rows into batches for a session.

    Args:
        session: Runs the batches. If it `prefers_few_shapes`, they have sizes of the ladder.
        count: Number of rows.
        most: Most rows per run.

    Yields:
        The rows of a run, and its batch size; rows beyond these are padding.
    """
    if not count:
        return
    start = 0
    for size in _rungs(count, most) if session.prefers_few_shapes else _whole(count, most):
        stop = min(start + size, count)
        yield slice(start, stop), size
        start = stop


def filled(rows: Array, count: int, mode: Literal["edge", "constant"] = "edge") -> Array:
    """Pad rows to `count`: with copies of the last one (`edge`), or with zeros (`constant`)."""
    more = count - len(rows)
    return np.pad(rows, ((0, more), *((0, 0),) * (rows.ndim - 1)), mode) if more else np.ascontiguousarray(rows)


def _whole(count: int, most: int) -> Iterator[int]:
    for start in range(0, count, most):
        yield min(most, count - start)


def _rungs(count: int, most: int) -> Iterator[int]:
    """Batch sizes of the ladder for `count` rows: the largest while it is full, then the cheapest for the rest."""
    largest = next(size for size in LADDER if size <= most)
    full, rest = divmod(count, largest)
    yield from repeat(largest, full)
    yield from _last_rungs(rest, largest)


@cache
def _last_rungs(count: int, largest: int) -> tuple[int, ...]:
    """The cheapest batch sizes, up to `largest`, for fewer rows than that; a run costs its rows and one more."""
    if not count:
        return ()
    below = next(size for size in LADDER if size <= count)
    above = min(size for size in LADDER if count <= size <= largest)
    split = (below, *_last_rungs(count - below, largest))
    return split if sum(split) + len(split) <= above + 1 else (above,)
