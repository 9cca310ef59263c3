"""Tensors of no library: what DLPack exchanges, and a device where one says it is."""

from __future__ import annotations

from typing import Any

import numpy as np


class HostTensor:
    """A tensor on the host."""

    device = (1, 0)

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self.shape, self.dtype = array.shape, array.dtype

    def __dlpack__(self, **options: Any) -> Any:
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device


class DeviceTensor(HostTensor):
    """A tensor on a GPU, whose memory nobody may read here."""

    def __init__(self, array: np.ndarray, kind: int = 2, number: int = 3) -> None:
        super().__init__(array)
        self.device = (kind, number)

    def __dlpack__(self, **options: Any) -> Any:
        raise AssertionError("the device's memory was asked for")
