"""MaskHead: mask coefficients of chosen anchors, and the prototypes of tiles of the map."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import numpy as np
from numpy.typing import NDArray

from fastsam_engine import Session
from fastsam_engine.device_array import Array, DeviceArray
from fastsam_trt.masks.prototypes import Prototypes
from fastsam_trt.sparse.cell_uploads import CellUploads
from fastsam_trt.sparse.crossing import ComputeName
from fastsam_trt.sparse.features import FrameFeatures
from fastsam_trt.sparse.head import Head
from fastsam_trt.sparse.patches import cells_at
from fastsam_trt.sparse.tiles import Tiles, halves, rung, tile_around, tiles_under

_PROTOTYPE_FEATURES = "mask_features"  # of models whose prototypes come from several levels


_FIRST = np.zeros(1, np.intp)
_SMALLEST = Tiles(_FIRST, _FIRST, 1, 1)
"""The least to compute when no prototypes are needed."""


class MaskHead:
    """Computes what masks consist of, from features. Any thread may call it.

    Attributes:
        per_cell: Prototype cells per cell of the features, along one axis.
    """

    def __init__(self, session: Session) -> None:
        """Use the graph `M.masks.onnx`, open; see `Head`. Its other inputs are `tile_cells` and `tile_inside`."""
        self._head = Head(session)
        spec = session.spec
        names = {output.meaning: output.name for output in spec.outputs}
        self._coefficients, self._prototypes = names["mask-coefficients"], names["mask-prototypes"]
        self._margin = int(spec.defaults["margin_cells"])
        self._whole = CellUploads(session)
        self._on_host = session.memory == "host"
        self.per_cell = int(spec.defaults["prototypes_per_cell"])
        self._own_maps = _PROTOTYPE_FEATURES in spec.input_names
        self._turn: AbstractContextManager[object] = nullcontext() if session.parallel else threading.Lock()

    def use_compute(self, compute: ComputeName) -> None:
        """Set whether to compute patches and tiles, or everything."""
        self._head.use_compute(compute)

    @property
    def computes_whole_maps(self) -> bool:
        """Whether the whole map is wanted for every frame."""
        return self._head.computes_whole_maps

    def size(self, features: FrameFeatures) -> tuple[int, int]:
        """Height and width of the map that the prototypes are computed from, cells."""
        _, height, width, _ = self._map(features).shape
        return height, width

    def tiles(self, features: FrameFeatures, windows: NDArray[np.intp]) -> Tiles | None:
        """The tiles to compute for windows of the map, (n, 4), see `tiles_under`; None: the whole map."""
        if self.computes_whole_maps:
            return None
        # On a device the number of tiles matters more than that of their cells.
        return tiles_under(windows, *self.size(features)) if self._on_host else tile_around(windows)

    def run(
        self, features: FrameFeatures, anchors: NDArray[np.intp], tiles: Tiles | None
    ) -> tuple[NDArray[np.float32], Prototypes]:
        """Compute coefficients and prototypes.

        Args:
            features: Of the frame.
            anchors: (n,) indices of anchors.
            tiles: The tiles of the map; None: the whole map.

        Returns:
            (n, c) float32 coefficients, and the prototypes of the tiles.
        """
        with self._turn:  # it would overwrite what `run_on_device` keeps
            (outputs, _), rows = self._head.run(features, anchors, more=self._more(features, tiles))
        tiles = tiles or self._whole_map(features)
        tops, lefts = tiles.tops * self.per_cell, tiles.lefts * self.per_cell
        prototypes = Prototypes(np.asarray(outputs[self._prototypes], np.float32), tops, lefts)
        return np.asarray(outputs[self._coefficients][rows], np.float32), prototypes

    def coefficients(self, features: FrameFeatures, anchors: NDArray[np.intp]) -> NDArray[np.float32]:
        """Compute the coefficients of (n,) anchors alone: (n, c) float32."""
        return self.run(features, anchors, _SMALLEST)[0]

    @contextmanager
    def run_on_device(
        self, features: FrameFeatures, anchors: NDArray[np.intp]
    ) -> Iterator[tuple[NDArray[np.float32], DeviceArray]]:
        """Compute coefficients, (n, c) float32, and keep the whole map's prototypes, (1, c, h, w), on the device.

        The prototypes are valid in the `with` block.
        """
        more = self._more(features, None)
        with self._turn:
            (outputs, kept), rows = self._head.run(features, anchors, more=more, keep=(self._prototypes,))
            yield np.asarray(outputs[self._coefficients][rows], np.float32), kept[self._prototypes]

    def _map(self, features: FrameFeatures) -> DeviceArray:
        return features.maps[_PROTOTYPE_FEATURES if self._own_maps else f"features_{features.grid.levels[0].stride}"]

    def _whole_map(self, features: FrameFeatures) -> Tiles:
        height, width = self.size(features)
        return halves(height, width) if self._on_host else Tiles(_FIRST, _FIRST, height, width)

    def _more(self, features: FrameFeatures, tiles: Tiles | None) -> dict[str, DeviceArray | Array]:
        cells: DeviceArray | Array
        inside: DeviceArray | Array
        size = self.size(features)
        if tiles is None:
            cells, inside = self._whole.get(*size, 1, lambda: self._cells(self._whole_map(features), *size))
        else:
            cells, inside = self._cells(tiles, *size)
        more: dict[str, DeviceArray | Array] = {"tile_cells": cells, "tile_inside": inside}
        if self._own_maps:
            more[_PROTOTYPE_FEATURES] = features.maps[_PROTOTYPE_FEATURES]
        return more

    def _cells(self, tiles: Tiles, height: int, width: int) -> tuple[Array, Array]:
        """The `tile_cells` and `tile_inside` of tiles of a map, with some tiles more than once: see `rung`."""
        unused = (0, rung(len(tiles.tops)) - len(tiles.tops))
        rows, columns = (
            np.pad(firsts, unused, "edge")[:, None] + np.arange(-self._margin, side + self._margin)
            for firsts, side in ((tiles.tops, tiles.height), (tiles.lefts, tiles.width))
        )
        return cells_at(rows, columns, height, width)
