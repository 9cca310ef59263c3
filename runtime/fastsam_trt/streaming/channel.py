"""Pass items from one thread to another, in order or the newest only.

A channel is built on `queue.SimpleQueue`, which may be used in a signal handler; a signal that interrupts a wait on it
leaves no lock behind. It has one producer thread and one consumer thread.
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
    DEADLINE_CHANGED = auto()


class BaseChannel(ABC, Generic[T]):
    """Passes items from one thread to another. `close` ends it after the last item, `stop` at once.

    Attributes:
        error: Why it ended, once `get` has returned None; None: it ended without an error.
    """

    def __init__(self) -> None:
        self._items: SimpleQueue[T | _Mark] = SimpleQueue()
        self._stopped = False
        self.error: BaseException | None = None
        self._offered = self._replaced = self._taken = 0  # each is counted by one thread only

    @property
    def dropped(self) -> int:
        """How many items were never taken: newer items replaced them, or the channel stopped while they waited."""
        return self._offered - self._taken if self._stopped else self._replaced

    @property
    @abstractmethod
    def depth(self) -> int:
        """How many items wait now."""

    def put(self, item: T) -> bool:
        """Add an item; False: the channel was stopped, and the item will not be taken."""
        self._offered += 1
        return self._put(item)

    def get(self) -> T | None:
        """Wait for the next item and take it; None: the channel has ended."""
        item = self._next()
        if self._stopped or isinstance(item, _Mark):
            self._items.put(_Mark.END)  # for later calls
            return None
        self._taken += 1
        self._after_take()
        return item

    def close(self, error: BaseException | None = None) -> None:
        """End the channel after the items in it. For the producer.

        Args:
            error: Why it ends; the consumer finds it in `error`.
        """
        self.error = error
        self._items.put(_Mark.END)

    def stop(self) -> None:
        """End the channel at once for both threads and drop the waiting items. For any thread or signal handler."""
        self._stopped = True
        self._items.put(_Mark.END)

    def _next(self) -> T | _Mark:
        return self._items.get()

    @abstractmethod
    def _put(self, item: T) -> bool:
        """See `put`."""

    def _after_take(self) -> None:
        """Called after an item was taken."""


class Channel(BaseChannel[T]):
    """Passes every item in order and holds up to `capacity` of them; `put` waits while it is full."""

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self._capacity = capacity
        self._deadline_s = math.inf
        self._holding = False
        self._free_slots: SimpleQueue[None] = SimpleQueue()
        for _ in range(capacity):
            self._free_slots.put(None)

    @property
    def depth(self) -> int:
        """How many items wait now, plus the item that is held."""
        return min(max(self._capacity - self._free_slots.qsize(), 0), self._capacity)

    def _put(self, item: T) -> bool:
        self._free_slots.get()
        if self._stopped:
            self._free_slots.put(None)
            return False
        self._items.put(item)
        return True

    def get(self, *, hold: bool = False) -> T | None:
        """Wait for the next item and take it; None: the channel has ended.

        Args:
            hold: Whether the item keeps its slot until `release`.
        """
        self._holding = hold
        return super().get()

    def release(self) -> None:
        """Free the slot of the held item, if there is one."""
        if self._holding:
            self._holding = False
            self._free_slots.put(None)

    def wait_until_empty(self) -> bool:
        """Wait until no item waits or is held; False: the channel was stopped. For one thread besides the consumer."""
        for _ in range(self._capacity):
            self._free_slots.get()
        for _ in range(self._capacity):
            self._free_slots.put(None)
        return not self._stopped

    def end_by(self, deadline_s: float) -> None:
        """Stop the channel if no item comes by a deadline on `time.perf_counter`'s clock.

        For any thread or signal handler.
        """
        self._deadline_s = deadline_s
        self._items.put(_Mark.DEADLINE_CHANGED)

    def stop(self) -> None:
        super().stop()
        for _ in range(self._capacity):
            self._free_slots.put(None)

    def _next(self) -> T | _Mark:
        while True:
            remaining_s = min(max(self._deadline_s - time.perf_counter(), 0.0), TIMEOUT_MAX)
            try:
                item = self._items.get(timeout=remaining_s)
            except Empty:
                self.stop()
                return _Mark.END
            if item is not _Mark.DEADLINE_CHANGED:
                return item

    def _after_take(self) -> None:
        if not self._holding:
            self._free_slots.put(None)


class LatestSlot(BaseChannel[T]):
    """Holds the newest item only; `put` never waits and replaces an item that was not taken yet."""

    @property
    def depth(self) -> int:
        return min(self._items.qsize(), 1)

    def _put(self, item: T) -> bool:
        try:
            old = self._items.get_nowait()
        except Empty:
            pass
        else:
            if old is _Mark.END:  # the slot was stopped
                self._items.put(old)
                return False
            self._replaced += 1
        self._items.put(item)
        return True
