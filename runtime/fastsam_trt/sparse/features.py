"""FrameFeatures: what the trunk computed of one frame, and what its heads compute boxes and masks from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from fastsam_engine.device_array import DeviceArray
from fastsam_trt.sparse.anchor_grid import AnchorGrid


@dataclass(frozen=True, slots=True, eq=False)
class FrameFeatures:
    """The feature maps of one frame.

    Attributes:
        maps: Name to map, (1, h, w, c).
        grid: The anchors of their levels.
    """

    maps: Mapping[str, DeviceArray]
    grid: AnchorGrid

    @property
    def nbytes(self) -> int:
        """Bytes of all maps."""
        return sum(math.prod(each.shape) * each.dtype.itemsize for each in self.maps.values())

    def copy_owned(self) -> FrameFeatures:
        """Copies that the trunk's next run does not overwrite, in the same memory.

        Raises:
            GpuError: The device has not enough memory.
        """
        return replace(self, maps={name: each.copy_owned() for name, each in self.maps.items()})
