"""KeptMasks: the undecoded masks of earlier frames, whose arrays the model's next run overwrites, or which are many."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from typing import Protocol


class Keepable(Protocol):
    """Masks of a frame that hold arrays of a session."""

    @property
    def kept_bytes(self) -> int:
        """Bytes of these arrays; 0 once they are on the host in their final form."""

    def copy_owned(self) -> bool:
        """Copy the arrays to memory that no later run overwrites; whether they are still kept."""

    def to_host(self) -> object:
        """Replace the arrays by what the masks consist of, on the host."""


class KeptMasks:
    """The masks that are still in use. Any thread may call it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # bringing masks to the host may add others
        self._alive: list[weakref.ref[Keepable]] = []

    def __iter__(self) -> Iterator[Keepable]:
        """The masks that are in use and keep arrays, oldest first."""
        with self._lock:
            found = [reference() for reference in self._alive]
        return (masks for masks in found if masks is not None and masks.kept_bytes)

    def add(self, masks: Keepable) -> None:
        """Add the masks of a frame."""
        with self._lock:
            self._alive.append(weakref.ref(masks))

    def detach(self, most_bytes: int) -> None:
        """Make all masks independent of the model's next run.

        The latest ones copy their arrays, or keep them if no run overwrites them. Older ones, beyond `most_bytes`, are
        brought to the host.
        """
        with self._lock:
            alive = list(self)
            self._alive.clear()
            kept: list[Keepable] = []
            room = most_bytes
            for masks in reversed(alive):
                room -= masks.kept_bytes
                if room < 0 and masks is not alive[-1]:
                    masks.to_host()
                elif masks.copy_owned():
                    kept.append(masks)
            self._alive += [weakref.ref(masks) for masks in reversed(kept)]

    def close(self) -> None:
        """Bring all masks to the host."""
        with self._lock:
            while self._alive:
                masks = self._alive.pop()()
                if masks is not None:
                    masks.to_host()
