"""Masks that are decoded once: what a selector had to look at is not decoded again for the result."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.masks.mask_source import MaskCrop, MaskSource


class CachedMasks:
    """A mask source that keeps the crops that were decoded, for as long as it lives itself: one frame.

    Any thread may ask; masks are decoded for one at a time.
    """

    def __init__(self, masks: MaskSource) -> None:
        """Wrap a source, which is asked at most once for each mask."""
        self._masks = masks
        self._crops: dict[int, MaskCrop] = {}
        self._decoding = threading.Lock()

    def __reduce__(self) -> tuple[type[CachedMasks], tuple[MaskSource]]:
        return CachedMasks, (self._masks,)  # without the lock; a process that gets it decodes again

    def __len__(self) -> int:
        return len(self._masks)

    def decode(self, indices: Iterable[int]) -> list[MaskCrop]:
        """Decode some masks, those that are not yet kept in one go."""
        wanted = list(indices)
        with self._decoding:
            missing = [index for index in dict.fromkeys(wanted) if index not in self._crops]
            if missing:
                self._crops.update(zip(missing, self._masks.decode(missing), strict=True))
        return [self._crops[index] for index in wanted]

    def coarse(self, index: int, window: NDArray[np.float64], size_px: int) -> NDArray[np.bool_]:
        """See `MaskSource.coarse`; not kept."""
        return self._masks.coarse(index, window, size_px)
