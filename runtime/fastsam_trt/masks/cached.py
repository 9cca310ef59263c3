"""A cache of decoded masks: a mask that a selector decodes is not decoded again for the result."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.errors import MasksTooLargeError
from fastsam_trt.masks.mask_source import MaskCrop, MaskSource

_BATCH = 8  # masks that are decoded between two checks of a limit


class CachedMasks:
    """A mask source that keeps the decoded crops of one frame.

    Any thread may call it; one thread decodes at a time.
    """

    def __init__(self, masks: MaskSource, most_pixels: int | None = None) -> None:
        """Wrap a source; it decodes each mask at most once.

        Args:
            masks: The source.
            most_pixels: Most pixels of all decoded crops together; None: no limit.
        """
        self._masks = masks
        self._most_pixels = most_pixels
        self._pixels = 0
        self._crops: dict[int, MaskCrop] = {}
        self._decoding = threading.Lock()

    def __reduce__(self) -> tuple[type[CachedMasks], tuple[MaskSource]]:
        return CachedMasks, (self._masks,)  # without lock and crops; another process decodes again

    def __len__(self) -> int:
        return len(self._masks)

    def decode(self, indices: Iterable[int]) -> list[MaskCrop]:
        """Decode masks by index; those that are not cached, in one call if there is no limit.

        Raises:
            MasksTooLargeError: All decoded masks of the frame together are larger than the limit.
        """
        wanted = list(indices)
        with self._decoding:
            missing = [index for index in dict.fromkeys(wanted) if index not in self._crops]
            step = len(missing) if self._most_pixels is None else _BATCH
            for start in range(0, len(missing), step or 1):
                self._decode(missing[start : start + step])
        return [self._crops[index] for index in wanted]

    def _decode(self, indices: list[int]) -> None:
        crops = self._masks.decode(indices)
        self._crops.update(zip(indices, crops, strict=True))
        self._pixels += sum(crop.pixels.size for crop in crops)
        if self._most_pixels is not None and self._pixels > self._most_pixels:
            raise MasksTooLargeError(self._most_pixels, len(self._crops))

    def coarse(self, index: int, window: NDArray[np.float64], size_px: int) -> NDArray[np.bool_]:
        """See `MaskSource.coarse`; not cached."""
        return self._masks.coarse(index, window, size_px)
