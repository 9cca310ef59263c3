"""MadeOnce: what is made when it is first asked for, once however many threads ask, and kept while it is used."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Made = TypeVar("Made")


class MadeOnce(Generic[Key, Made]):
    """A cache of the things used last; any thread may ask.

    Threads that ask for what is being made wait for it; those that ask for what is there do not.
    """

    def __init__(
        self,
        make: Callable[[Key], Made],
        most: int,
        *,
        group: Callable[[Key], Hashable] = lambda key: key,
        drop: Callable[[Made], None] = lambda _: None,
    ) -> None:
        """Make nothing yet.

        Args:
            make: Makes the thing of a key; what it raises goes to the caller, and the next one tries again.
            most: How many groups to keep.
            group: The group of a key, which is kept and dropped as a whole; without it each key is one.
            drop: Told what is no longer kept; threads may still use it.
        """
        self._make, self._most, self._group, self._drop = make, most, group, drop
        self._lock = threading.Lock()
        self._slots: OrderedDict[Key, _Slot[Made]] = OrderedDict()

    def get(self, key: Key) -> Made:
        """The thing of a key, made if it is not there."""
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
        """Keep nothing."""
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


class _Slot(Generic[Made]):
    """Room for one thing, and the lock of the thread that makes it."""

    __slots__ = ("made", "making")

    def __init__(self) -> None:
        self.making = threading.Lock()
        self.made: tuple[Made] | tuple[()] = ()
