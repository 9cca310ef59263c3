"""Arrays on a GPU that TensorRT's sessions keep and take."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastsam_engine.backends.tensorrt.gpu_interface import GpuInterface, GpuMemory
from fastsam_engine.device_array import Array, DeviceArray


class TensorRtArray(DeviceArray):
    """An array on a GPU, valid in the order of its device's stream."""

    def __init__(self, device: GpuInterface, buffer: GpuMemory, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        """Describe memory on a GPU.

        Args:
            device: The GPU.
            buffer: Its memory, of exactly the array's size.
            shape, dtype: As for a numpy array.
        """
        self.memory, self.shape, self.dtype = device.memory, shape, dtype
        self._buffer = buffer
        self._device = device

    @property
    def address(self) -> int:
        """Its first address on the GPU."""
        return self._buffer.address

    def to_host(self) -> Array:
        array = np.empty(self.shape, self.dtype)
        with self._device.using():
            self._buffer.copy_out(array)
            self._device.synchronise()
        return array

    def copy_owned(self) -> TensorRtArray:
        with self._device.using():
            buffer = self._device.allocate(self._buffer.nbytes)
            buffer.copy_from(self._buffer.address)
        return TensorRtArray(self._device, buffer, self.shape, self.dtype)
