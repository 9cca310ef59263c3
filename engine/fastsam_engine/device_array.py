"""Arrays in a device's memory, which pass from one session to the next without a copy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class DeviceArray(ABC):
    """An array in the memory of a device.

    Attributes:
        memory: Name of the memory that holds it. Sessions of the same `memory` take it without a copy.
        shape, dtype: As for a numpy array.
    """

    memory: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @abstractmethod
    def to_host(self) -> Array:
        """The array on the host; a copy, unless it is there already."""

    @abstractmethod
    def copy_owned(self) -> DeviceArray:
        """A copy in the same memory that no later run overwrites."""


class HostArray(DeviceArray):
    """An array on the host."""

    memory = "host"

    def __init__(self, array: Array) -> None:
        self._array = array
        self.shape, self.dtype = array.shape, array.dtype

    def to_host(self) -> Array:
        return self._array

    def copy_owned(self) -> DeviceArray:
        return self  # no later run overwrites what sessions of the host return
