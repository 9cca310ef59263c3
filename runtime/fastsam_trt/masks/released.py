"""ReleasedMasks: in place of masks that can't be decoded any more."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.errors import ReleasedError
from fastsam_trt.masks.mask_source import MaskCrop


class ReleasedMasks:
    """A mask source without masks, after `Result.release`."""

    def __init__(self, count: int) -> None:
        """Stand in for a number of masks."""
        self._count = count

    def __len__(self) -> int:
        return self._count

    def decode(self, indices: Iterable[int]) -> list[MaskCrop]:
        """Decode no masks, which is possible, or raise `ReleasedError`."""
        return [self._refuse() for _ in indices]

    def coarse(self, index: int, window: NDArray[np.float64], size_px: int) -> NDArray[np.bool_]:
        """Raise `ReleasedError`."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise ReleasedError("masks", "decode them before release(), for example with mask_crops()")
