"""Remainder: the segments of a frame that no prompt could select, which are computed if somebody asks for them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

Found = TypeVar("Found")


class Remainder(Generic[Found]):
    """All segments of a frame of which only some were computed. Any thread may call it."""

    def __init__(self, compute: Callable[[], tuple[Found, NDArray[np.intp]]], kept_bytes: int) -> None:
        """Hold what it takes to compute them.

        Args:
            compute: Returns all `Segments`, best first, and the index of each known one among them.
            kept_bytes: Bytes of the arrays that it uses.
        """
        self._compute = compute
        self._bytes = kept_bytes
        self._all: tuple[Found, NDArray[np.intp]] | None = None
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Callable[..., Remainder[Found]], tuple[tuple[Found, NDArray[np.intp]]]]:
        return _computed, (self.all(),)  # the graphs can be neither pickled nor copied

    @property
    def kept_bytes(self) -> int:
        """Bytes of the arrays that it uses; 0 once the segments are computed."""
        return self._bytes

    def all(self) -> tuple[Found, NDArray[np.intp]]:
        """All `Segments`, best first, and the (k,) indices of the known ones among them."""
        with self._lock:
            if self._all is None:
                self._all = self._compute()
                self._compute, self._bytes = self.all, 0  # frees the arrays
            return self._all

    def copy_owned(self) -> bool:
        """Whether it uses arrays. They are on the host, where no run overwrites them."""
        return self._bytes > 0

    def to_host(self) -> None:
        """Compute the segments; their masks still use the arrays."""
        self.all()


def _computed(segments: tuple[Found, NDArray[np.intp]]) -> Remainder[Found]:
    remainder = Remainder(lambda: segments, 0)
    remainder.all()
    return remainder
