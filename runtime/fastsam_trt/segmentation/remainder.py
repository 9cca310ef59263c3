"""Remainder: the segments of a frame that no prompt could select, which are computed if somebody asks for them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from fastsam_trt.segmentation.segments import Segments


class Remainder:
    """All segments of a frame of which only some were computed. Any thread may call it."""

    def __init__(self, compute: Callable[[], tuple[Segments, NDArray[np.intp]]], kept_bytes: int) -> None:
        """Hold what it takes to compute them.

        Args:
            compute: Returns all segments, best first, and the index of each known one among them.
            kept_bytes: Bytes of the arrays that it uses.
        """
        self._compute = compute
        self._bytes = kept_bytes
        self._all: tuple[Segments, NDArray[np.intp]] | None = None
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Callable[..., Remainder], tuple[tuple[Segments, NDArray[np.intp]]]]:
        return _computed, (self.all(),)  # the graphs can be neither pickled nor copied

    @property
    def kept_bytes(self) -> int:
        """Bytes of the arrays that it uses; 0 once the segments are computed."""
        return self._bytes

    def all(self) -> tuple[Segments, NDArray[np.intp]]:
        """All segments, best first, and the (k,) indices of the known ones among them."""
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


def _computed(segments: tuple[Segments, NDArray[np.intp]]) -> Remainder:
    remainder = Remainder(lambda: segments, 0)
    remainder.all()
    return remainder
