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
    """The masks that are still in use. Any thread may call it.

    No lock is held while masks are moved: that takes long, and may add others.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal handler may close the model while its thread adds masks
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
        alive = list(self)
        room = most_bytes
        for masks in reversed(alive):
            room -= masks.kept_bytes
            if room < 0 and masks is not alive[-1]:
                masks.to_host()
            else:
                masks.copy_owned()
        with self._lock:
            self._alive = [each for each in self._alive if (still := each()) is not None and still.kept_bytes]

    def close(self) -> None:
        """Bring all masks to the host."""
        while self._alive:
            with self._lock:
                references, self._alive = self._alive, []
            for reference in references:
                if (masks := reference()) is not None:
                    masks.to_host()
