"""A cache of decoded masks: a mask that a selector decodes is not decoded again for the result."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.masks.mask_source import MaskCrop, MaskSource


class CachedMasks:
    """A mask source that keeps the decoded crops of one frame.

    Any thread may call it; one thread decodes at a time.
    """

    def __init__(self, masks: MaskSource) -> None:
        """Wrap a source; it decodes each mask at most once."""
        self._masks = masks
        self._crops: dict[int, MaskCrop] = {}
        self._decoding = threading.Lock()

    def __reduce__(self) -> tuple[type[CachedMasks], tuple[MaskSource]]:
        return CachedMasks, (self._masks,)  # without lock and crops; another process decodes again

    def __len__(self) -> int:
        return len(self._masks)

    def decode(self, indices: Iterable[int]) -> list[MaskCrop]:
        """Decode masks by index; those that are not cached, in one call."""
        wanted = list(indices)
        with self._decoding:
            missing = [index for index in dict.fromkeys(wanted) if index not in self._crops]
            if missing:
                self._crops.update(zip(missing, self._masks.decode(missing), strict=True))
        return [self._crops[index] for index in wanted]

    def coarse(self, index: int, window: NDArray[np.float64], size_px: int) -> NDArray[np.bool_]:
        """See `MaskSource.coarse`; not cached."""
        return self._masks.coarse(index, window, size_px)
