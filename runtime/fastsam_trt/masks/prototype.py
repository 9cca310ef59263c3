"""Masks as coefficients over prototypes (YOLACT, arXiv 1904.02689), decoded inside their boxes.

The logits of a mask are its coefficients times the prototypes. The mask is where they are above zero after bilinear
resizing to the frame. All three steps are done inside the box only.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.masks.map_to_frame import MapToFrame, warp
from fastsam_trt.masks.mask_source import MaskCrop, empty_crop
from fastsam_trt.masks.prototypes import Prototypes

_MANY = 64  # masks: from here on a copy of the prototypes with the channels last saves more time than it takes


class PrototypeMasks:
    """Undecoded masks of one frame."""

    def __init__(
        self,
        prototypes: NDArray[np.float32] | Prototypes,
        coefficients: NDArray[np.float32],
        boxes: NDArray[np.float32],
        resize: MapToFrame,
    ) -> None:
        """Hold the parts of the masks.

        Args:
            prototypes: (c, ph, pw) float32 over the model's input, in any memory order; not copied. Or those of the
                parts of it that the boxes depend on.
            coefficients: (n, c) float32.
            boxes: (n, 4) float32 xyxy, px of the frame. A pixel column x belongs to a box if x0 <= x < x1.
            resize: From the prototypes over the model's whole input to the frame.
        """
        self._prototypes = prototypes if isinstance(prototypes, Prototypes) else Prototypes(prototypes[None])
        self._coefficients = coefficients
        self._edges = np.ceil(boxes).astype(np.intp)
        self._resize = resize

    def __len__(self) -> int:
        return len(self._coefficients)

    def decode(self, indices: Iterable[int]) -> list[MaskCrop]:
        """Decode masks by index; see `MaskSource.decode`."""
        rows, columns = self._resize.rows, self._resize.columns
        chosen, crops = list(indices), []
        prototypes = self._prototypes if len(chosen) < _MANY else self._prototypes.gathered()
        for index in chosen:
            x0, y0, x1, y1 = self._edges[index].tolist()
            if x1 <= x0 or y1 <= y0:
                crops.append(empty_crop(x0, y0, x1, y1))
                continue
            top, bottom = rows.reach(y0, y1)
            left, right = columns.reach(x0, x1)
            logits = prototypes.logits(self._coefficients[index], top, bottom, left, right)
            wide = columns.apply(logits, x0, x1, left).T
            crops.append(MaskCrop(x0, y0, rows.apply(wide, y0, y1, top) > 0))
        return crops

    def coarse(self, index: int, window: NDArray[np.float64], size_px: int) -> NDArray[np.bool_]:
        """See `MaskSource.coarse`."""
        rows, columns, matrix = self._resize.coarse(window, size_px)
        window_cells = rows.start, rows.stop, columns.start, columns.stop
        logits = self._prototypes.logits(self._coefficients[index], *window_cells)
        mask = warp(logits.T, matrix, size_px) > 0
        centres = (np.arange(size_px) + 0.5) / size_px
        x, y = window[0] + centres * (window[2] - window[0]), window[1] + centres * (window[3] - window[1])
        x0, y0, x1, y1 = self._edges[index]
        return np.asarray(mask & ((x >= x0) & (x < x1)) & ((y >= y0) & (y < y1))[:, None])
