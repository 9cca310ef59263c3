"""The ladder of batches: the few sizes in which rows of any number are run where each size costs time and memory."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import repeat
from typing import Literal

import numpy as np

from fastsam_engine import Session
from fastsam_engine.device_array import Array

LADDER = (16, 8, 4, 2, 1)
"""Batch sizes, largest first: few, because a backend compiles, captures or keeps memory for each."""


def batches(session: Session, count: int, most: int) -> Iterator[tuple[slice, int]]:
    """Split rows into the batches that a session is to run.

    Args:
        session: To run them; whether it `keeps_shapes` decides.
        count: How many rows there are.
        most: How many a run may have.

    Yields:
        The rows of a run, and how many rows it is to have: those, and then rows that do not matter.
    """
    start = 0
    for size in _rungs(count, most) if session.keeps_shapes else _whole(count, most):
        stop = min(start + size, count)
        yield slice(start, stop), size
        start = stop


def filled(rows: Array, count: int, mode: Literal["edge", "constant"] = "edge") -> Array:
    """Rows, and after them so many that there are `count`: the last one again (`edge`), or zeros (`constant`)."""
    more = count - len(rows)
    return np.pad(rows, ((0, more), *((0, 0),) * (rows.ndim - 1)), mode) if more else np.ascontiguousarray(rows)


def _whole(count: int, most: int) -> Iterator[int]:
    for start in range(0, count, most):
        yield min(most, count - start)


def _rungs(count: int, most: int) -> Iterator[int]:
    """The batches of the ladder that serve some rows: the largest as often as it is filled, then what costs least."""
    largest = next(size for size in LADDER if size <= most)
    full, rest = divmod(count, largest)
    yield from repeat(largest, full)
    yield from _last_rungs(rest, largest)


@cache
def _last_rungs(count: int, largest: int) -> tuple[int, ...]:
    """The batches up to a size that serve fewer rows for the least: a run costs as a row does, beside its rows."""
    if not count:
        return ()
    below = next(size for size in LADDER if size <= count)
    above = min(size for size in LADDER if count <= size <= largest)
    split = (below, *_last_rungs(count - below, largest))
    return split if sum(split) + len(split) <= above + 1 else (above,)
