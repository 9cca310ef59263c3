"""Cache values that are made on first use, once for all threads."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class LazyCache(Generic[Key, Value]):
    """A cache of the most recently used values, for any thread.

    Threads that need a value that is being made wait for it; threads that need an existing one do not wait.
    """

    def __init__(
        self,
        make: Callable[[Key], Value],
        most: int,
        *,
        group: Callable[[Key], Hashable] = lambda key: key,
        drop: Callable[[Value], None] = lambda _: None,
    ) -> None:
        """Make an empty cache.

        Args:
            make: Makes the value of a key. What it raises reaches the caller, and the next caller tries again.
            most: How many groups to keep.
            group: The group of a key. Groups are kept and dropped as a whole; by default every key is one.
            drop: Called with a dropped value; threads may still use it.
        """
        self._make, self._most, self._group, self._drop = make, most, group, drop
        self._lock = threading.Lock()
        self._slots: OrderedDict[Key, _Slot[Value]] = OrderedDict()

    def get(self, key: Key) -> Value:
        """The value of a key; made if it is not there."""
        with self._lock:
            slot = self._slots.setdefault(key, _Slot())
            group = self._group(key)
            for each in [each for each in self._slots if self._group(each) == group]:
                self._slots.move_to_end(each)
        if slot.made:
            return slot.made[0]
        with slot.making:
            if not slot.made:
                try:
                    slot.made = (self._make(key),)
                except BaseException:
                    with self._lock:
                        if self._slots.get(key) is slot:
                            del self._slots[key]
                    raise
                self._trim(self._most)
        return slot.made[0]

    def clear(self) -> None:
        """Drop all values."""
        self._trim(0)

    def _trim(self, most: int) -> None:
        with self._lock:
            groups = list(dict.fromkeys(self._group(key) for key, slot in self._slots.items() if slot.made))
            old = set(groups[: max(len(groups) - most, 0)])
            keys = [key for key, slot in self._slots.items() if slot.made and self._group(key) in old]
            gone = [self._slots.pop(key) for key in keys]
        for slot in gone:
            if slot.made:
                self._drop(slot.made[0])


class _Slot(Generic[Value]):
    """Holds one value, and the lock of the thread that makes it."""

    __slots__ = ("made", "making")

    def __init__(self) -> None:
        self.making = threading.Lock()
        self.made: tuple[Value] | tuple[()] = ()
