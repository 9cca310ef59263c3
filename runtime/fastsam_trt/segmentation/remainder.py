"""Remainder: the segments of a frame that no prompt could select, which are computed if somebody asks for them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from fastsam_engine.errors import ClosedError

Found = TypeVar("Found")


class Remainder(Generic[Found]):
    """All segments of a frame of which only some were computed. Any thread may call it."""

    def __init__(
        self,
        compute: Callable[[], tuple[Found, NDArray[np.intp]]],
        kept_bytes: int,
        move: Callable[[Found], object] = lambda _: None,
    ) -> None:
        """Hold what it takes to compute them.

        Args:
            compute: Returns all `Segments`, best first, and the index of each known one among them.
            kept_bytes: Bytes of the arrays that it uses.
            move: Brings to the host what the masks of these segments consist of.
        """
        self._move = move
        self._compute: Callable[[], tuple[Found, NDArray[np.intp]]] | None = compute
        self._bytes = kept_bytes
        self._all: tuple[Found, NDArray[np.intp]] | None = None
        self._lock = threading.RLock()  # a signal handler may close the model while its thread computes

    def __reduce__(self) -> tuple[Callable[..., Remainder[Found]], tuple[tuple[Found, NDArray[np.intp]]]]:
        return _computed, (self.all(),)  # the graphs can be neither pickled nor copied

    @property
    def kept_bytes(self) -> int:
        """Bytes of the arrays that it uses; 0 once the segments are computed."""
        return self._bytes

    def all(self) -> tuple[Found, NDArray[np.intp]]:
        """All `Segments`, best first, and the (k,) indices of the known ones among them."""
        with self._lock:
            if self._compute is not None:
                try:
                    self._all = self._compute()
                except ClosedError:
                    if self._all is None:  # else `close`, on this thread, computed them first
                        raise
                self._compute, self._bytes = None, 0  # frees the arrays
            return cast("tuple[Found, NDArray[np.intp]]", self._all)  # one of the two is always set

    def copy_owned(self) -> bool:
        """Whether it uses arrays. They are on the host, where no run overwrites them."""
        return self._bytes > 0

    def to_host(self) -> None:
        """Compute the segments, and what their masks consist of."""
        self._move(self.all()[0])


def _computed(segments: tuple[Found, NDArray[np.intp]]) -> Remainder[Found]:
    remainder = Remainder(lambda: segments, 0)
    remainder.all()
    return remainder
