"""Channels: what one thread hands to the next, in order or the newest only.

All are built on `queue.SimpleQueue`, which may be used from a signal's handler, and whose waiting a signal ends at
once without leaving anything locked. Each has one thread that puts and one that gets.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from enum import Enum, auto
from queue import Empty, SimpleQueue
from threading import TIMEOUT_MAX
from typing import Generic, TypeVar

T = TypeVar("T")


class _Mark(Enum):
    END = auto()
    LOOK = auto()  # how long there is has changed


class Handover(ABC, Generic[T]):
    """From one thread to another. It ends: `close` after what was put, `stop` at once.

    Attributes:
        error: What ended it, once `get` has returned None; None: nothing did.
    """

    def __init__(self) -> None:
        self._items: SimpleQueue[T | _Mark] = SimpleQueue()
        self._stopped = False
        self.error: BaseException | None = None
        self._offered = self._replaced = self._taken = 0  # each is counted by one thread

    @property
    def dropped(self) -> int:
        """How many items nobody took: they were replaced by newer ones, or it was stopped while they waited."""
        return self._offered - self._taken if self._stopped else self._replaced

    @property
    @abstractmethod
    def depth(self) -> int:
        """How many items wait now."""

    def put(self, item: T) -> bool:
        """Hand an item over; False: it was stopped, and nobody will take it."""
        self._offered += 1
        return self._put(item)

    def get(self) -> T | None:
        """Take the next item, waiting for it; None: it has ended."""
        item = self._next()
        if self._stopped or isinstance(item, _Mark):
            self._items.put(_Mark.END)  # for whoever asks again
            return None
        self._taken += 1
        self._took()
        return item

    def close(self, error: BaseException | None = None) -> None:
        """End it after the items that were put; for the thread that puts.

        Args:
            error: Why; the thread that gets finds it in `error`.
        """
        self.error = error
        self._items.put(_Mark.END)

    def stop(self) -> None:
        """End it at once for both threads; items that wait are let go. Any thread or signal's handler may."""
        self._stopped = True
        self._items.put(_Mark.END)

    def _next(self) -> T | _Mark:
        return self._items.get()

    @abstractmethod
    def _put(self, item: T) -> bool:
        """See `put`."""

    def _took(self) -> None:
        """An item left."""


class Channel(Handover[T]):
    """Every item in order, and no more than `capacity` of them: putting waits for a place."""

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self._capacity = capacity
        self._end_s = math.inf
        self._holding = False
        self._places: SimpleQueue[None] = SimpleQueue()
        for _ in range(capacity):
            self._places.put(None)

    @property
    def depth(self) -> int:
        """How many items wait now, or are taken and held."""
        return min(max(self._capacity - self._places.qsize(), 0), self._capacity)

    def _put(self, item: T) -> bool:
        self._places.get()
        if self._stopped:
            self._places.put(None)
            return False
        self._items.put(item)
        return True

    def get(self, *, hold: bool = False) -> T | None:
        """Take the next item, waiting for it; None: it has ended.

        Args:
            hold: Whether the item keeps its place until `release`.
        """
        self._holding = hold
        return super().get()

    def release(self) -> None:
        """Give back the place of the item that was taken and held, if one is."""
        if self._holding:
            self._holding = False
            self._places.put(None)

    def wait_until_empty(self) -> bool:
        """Wait until no item waits or is held; False: it was stopped. For one other thread than that which gets."""
        for _ in range(self._capacity):
            self._places.get()
        for _ in range(self._capacity):
            self._places.put(None)
        return not self._stopped

    def end_by(self, time_s: float) -> None:
        """Stop it when nothing has come by then, on `time.perf_counter`'s clock. Any thread or signal's handler may."""
        self._end_s = time_s
        self._items.put(_Mark.LOOK)

    def stop(self) -> None:
        super().stop()
        for _ in range(self._capacity):
            self._places.put(None)

    def _next(self) -> T | _Mark:
        while True:
            left_s = min(max(self._end_s - time.perf_counter(), 0.0), TIMEOUT_MAX)
            try:
                item = self._items.get(timeout=left_s)
            except Empty:
                self.stop()
                return _Mark.END
            if item is not _Mark.LOOK:
                return item

    def _took(self) -> None:
        if not self._holding:
            self._places.put(None)


class LatestSlot(Handover[T]):
    """The newest item only: putting never waits, and replaces what nobody has taken yet."""

    @property
    def depth(self) -> int:
        return min(self._items.qsize(), 1)

    def _put(self, item: T) -> bool:
        try:
            old = self._items.get_nowait()
        except Empty:
            pass
        else:
            if old is _Mark.END:  # it was stopped
                self._items.put(old)
                return False
            self._replaced += 1
        self._items.put(item)
        return True
