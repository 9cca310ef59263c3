"""Masks by argmax over planes: a pixel belongs to the plane with the highest value there, after resizing to the frame.

The planes are the logits of classes (semantic models) or the weighted probabilities of queries (panoptic models). The
frame is decoded in tiles, each at most once, and only where the requested plane leads a cell, that is, has the highest
value there. Only planes that lead a cell in the tile or next to it are compared (between cells, a plane can be highest
that leads no cell in the tile). If one plane leads all these cells, nothing is computed: what is highest at the corners
is highest between them.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.masks.map_to_frame import MapToFrame, warp
from fastsam_trt.masks.mask_source import MaskCrop

_TILE_PX = 64


class ArgmaxMasks:
    """Undecoded masks of one frame."""

    def __init__(
        self,
        planes: NDArray[np.float32],
        leaders: NDArray[np.integer],
        plane_ids: NDArray[np.intp],
        cells: NDArray[np.intp],
        resize: MapToFrame,
        parts: dict[int, tuple[NDArray[np.int32], int]] | None = None,
    ) -> None:
        """Hold the parts of the masks.

        Args:
            planes: (c, h, w) float32, over the model's input; not copied.
            leaders: (h, w) index of the highest plane of each cell; -1 for padding.
            plane_ids: (n,) index of the plane of each segment.
            cells: (n, 4) xyxy, box around the cells that each segment leads, x1 and y1 exclusive.
            resize: From the planes to the frame.
            parts: For segments that are a connected part of a plane: (h, w) part of each cell, and the segment's part.
        """
        self._planes, self._leaders, self._plane_ids = planes, leaders, plane_ids
        self._resize = resize
        self._parts = parts or {}
        self.windows = resize.to_frame(cells)
        self._labels: NDArray[np.int16] | None = None  # (H, W) plane of each pixel, in decoded tiles

    def __len__(self) -> int:
        return len(self._plane_ids)

    def decode(self, indices: Iterable[int]) -> list[MaskCrop]:
        """Decode masks by index; see `MaskSource.decode`."""
        if self._labels is None:
            height, width = self._resize.letterbox.frame_h, self._resize.letterbox.frame_w
            self._labels = np.full((height, width), -1, np.int16)
            self._done = np.zeros((-(-height // _TILE_PX), -(-width // _TILE_PX)), np.bool_)
        crops = []
        for index in indices:
            x0, y0, x1, y1 = self.windows[index].tolist()
            plane_id = int(self._plane_ids[index])
            for tile_y in range(y0 // _TILE_PX, -(-y1 // _TILE_PX)):
                for tile_x in range(x0 // _TILE_PX, -(-x1 // _TILE_PX)):
                    if not self._done[tile_y, tile_x]:
                        self._done[tile_y, tile_x] = self._fill(self._labels, tile_y, tile_x, plane_id)
            pixels = self._labels[y0:y1, x0:x1] == plane_id
            if index in self._parts:
                pixels &= self._part(index, x0, y0, x1, y1)
            crops.append(MaskCrop(x0, y0, pixels))
        return crops

    def coarse(self, index: int, window: NDArray[np.float64], size_px: int) -> NDArray[np.bool_]:
        """See `MaskSource.coarse`."""
        rows, columns, matrix = self._resize.coarse(window, size_px)
        leads = self._leaders[rows, columns] == self._plane_ids[index]
        if index in self._parts:
            parts, part = self._parts[index]
            leads &= parts[rows, columns] == part
        return warp(leads.astype(np.float32), matrix, size_px) >= 0.5

    def _fill(self, labels: NDArray[np.int16], tile_y: int, tile_x: int, plane_id: int) -> bool:
        """Decode a tile if the plane leads a cell in it or next to it; return whether it did."""
        y0, x0 = tile_y * _TILE_PX, tile_x * _TILE_PX
        y1, x1 = min(y0 + _TILE_PX, labels.shape[0]), min(x0 + _TILE_PX, labels.shape[1])
        rows, columns = self._resize.reach(x0, y0, x1, y1)
        near = self._leaders[max(rows.start - 1, 0) : rows.stop + 1, max(columns.start - 1, 0) : columns.stop + 1]
        rivals = np.flatnonzero(np.bincount(near[near >= 0], minlength=len(self._planes)))
        if plane_id not in rivals:
            return False
        if len(rivals) == 1:
            labels[y0:y1, x0:x1] = plane_id
        else:
            resized = self._resize.window(self._planes[rivals, rows, columns], x0, y0, x1, y1)
            labels[y0:y1, x0:x1] = rivals[resized.argmax(axis=1)]
        return True

    def _part(self, index: int, x0: int, y0: int, x1: int, y1: int) -> NDArray[np.bool_]:
        """Where the nearest cell belongs to the segment's part."""
        parts, part = self._parts[index]
        near = parts[np.ix_(self._resize.nearest_rows[y0:y1], self._resize.nearest_columns[x0:x1])]
        return np.asarray(near == part)


def leading_planes(planes: NDArray[np.float32], content: tuple[slice, slice]) -> NDArray[np.int16]:
    """Index of the highest plane of each cell, the first of equal ones: (h, w).

    The same as `planes.argmax(axis=0)` without NaN, but faster: it goes plane by plane, in the processor's cache.

    Args:
        planes: (c, h, w) over the model's input, c at least 1.
        content: Rows and columns of the cells that the frame covers; the others get -1.
    """
    whole = np.full(planes.shape[1:], -1, np.int16)
    planes = planes[:, *content]
    highest, leaders = planes[0].copy(), whole[content]
    leaders[:] = 0
    higher = np.empty(planes.shape[1:], np.bool_)
    for index, plane in enumerate(planes[1:], 1):
        np.greater(plane, highest, out=higher)
        leaders[higher] = index
        np.maximum(highest, plane, out=highest)
    return whole
