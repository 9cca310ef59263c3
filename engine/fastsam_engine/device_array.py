"""Arrays that stay where a session computes, so that one graph's output is the next one's input without a copy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class DeviceArray(ABC):
    """An array at a place.

    Attributes:
        memory: Where it lies; sessions of the same `memory` take it as it is.
        shape, dtype: As numpy's.
    """

    memory: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @abstractmethod
    def to_host(self) -> Array:
        """The array on the host: a copy, unless it lies there."""

    @abstractmethod
    def copy_owned(self) -> DeviceArray:
        """The array at the same place, in memory that no later run overwrites."""


class HostArray(DeviceArray):
    """An array that lies on the host."""

    memory = "host"

    def __init__(self, array: Array) -> None:
        self._array = array
        self.shape, self.dtype = array.shape, array.dtype

    def to_host(self) -> Array:
        return self._array

    def copy_owned(self) -> DeviceArray:
        return self  # what sessions of the host return is the caller's to keep
