"""TensorRtArray: an array on a GPU, as sessions leave it and take it."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastsam_engine.backends.tensorrt.device import Device, DeviceMemory
from fastsam_engine.device_array import Array, DeviceArray


class TensorRtArray(DeviceArray):
    """An array on a GPU, in the order of its device's queue."""

    def __init__(self, device: Device, memory: DeviceMemory, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        """Describe memory on a GPU.

        Args:
            device: Whose memory it is.
            memory: Of exactly the array's size.
            shape, dtype: As numpy's.
        """
        self.place, self.shape, self.dtype = device.place, shape, dtype
        self.memory = memory
        self._device = device

    @property
    def address(self) -> int:
        """Where it begins on the GPU."""
        return self.memory.address

    def to_host(self) -> Array:
        array = np.empty(self.shape, self.dtype)
        with self._device.using():
            self.memory.copy_out(array)
            self._device.synchronise()
        return array

    def own(self) -> TensorRtArray:
        with self._device.using():
            memory = self._device.allocate(self.memory.nbytes)
            memory.copy_from(self.memory.address)
        return TensorRtArray(self._device, memory, self.shape, self.dtype)
