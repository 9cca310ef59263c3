"""MaskHead: mask coefficients of chosen anchors, and the prototypes of a part of the map."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import numpy as np
from numpy.typing import NDArray

from fastsam_engine import Session
from fastsam_engine.device_array import Array, DeviceArray
from fastsam_trt.sparse.crossing import ComputeName
from fastsam_trt.sparse.features import FrameFeatures
from fastsam_trt.sparse.head import Head
from fastsam_trt.sparse.regions import Region

_PROTOTYPE_FEATURES = "mask_features"  # of models whose prototypes come from several levels

_CELLS_PER_RUN, _CHANNELS = 300, 64  # measured with YOLOv8n-seg, which has so many channels (OpenVINO, two cores)


class MaskHead:
    """Computes what masks consist of, from features. Any thread may call it.

    Attributes:
        per_cell: Prototype cells per cell of the features, along one axis.
    """

    def __init__(self, session: Session) -> None:
        """Use the graph `M.masks.onnx`, open; see `Head`. Its other inputs are `rows` and `columns`."""
        self._head = Head(session)
        spec = session.spec
        names = {output.meaning: output.name for output in spec.outputs}
        self._coefficients, self._prototypes = names["mask-coefficients"], names["mask-prototypes"]
        self._margin = int(spec.defaults["margin_cells"])
        self.per_cell = int(spec.defaults["prototypes_per_cell"])
        self._own_maps = _PROTOTYPE_FEATURES in spec.input_names
        self._turn: AbstractContextManager[object] = nullcontext() if session.parallel else threading.Lock()

    def use_compute(self, compute: ComputeName) -> None:
        """Set whether to compute patches and regions, or everything."""
        self._head.use_compute(compute)

    @property
    def computes_whole_maps(self) -> bool:
        """Whether the whole map is wanted for every frame."""
        return self._head.computes_whole_maps

    def size(self, features: FrameFeatures) -> tuple[int, int]:
        """Height and width of the map that the prototypes are computed from, cells."""
        _, height, width, _ = self._map(features).shape
        return height, width

    def cells_per_run(self, features: FrameFeatures) -> int:
        """Cells whose prototypes take as long as the constant part of a run; a cell's work grows with its channels."""
        channels = self._map(features).shape[3]
        return max(round(_CELLS_PER_RUN * (_CHANNELS / channels) ** 2), 1)

    def run(
        self, features: FrameFeatures, anchors: NDArray[np.intp], region: Region
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Compute coefficients and prototypes.

        Args:
            features: Of the frame.
            anchors: (n,) indices of anchors.
            region: The part of the map.

        Returns:
            (n, c) float32 coefficients, and (c, h, w) float32 prototypes of the region.
        """
        with self._turn:  # it would overwrite what `run_on_device` keeps
            (outputs, _), rows = self._head.run(features, anchors, more=self._more(features, region))
        prototypes = np.asarray(outputs[self._prototypes][0], np.float32).transpose(2, 0, 1)
        return np.asarray(outputs[self._coefficients][rows], np.float32), prototypes

    @contextmanager
    def run_on_device(
        self, features: FrameFeatures, anchors: NDArray[np.intp]
    ) -> Iterator[tuple[NDArray[np.float32], DeviceArray]]:
        """Compute coefficients, (n, c) float32, and keep the whole map's prototypes, (1, h, w, c), on the device.

        The prototypes are valid in the `with` block.
        """
        height, width = self.size(features)
        more = self._more(features, Region(0, 0, height, width))
        with self._turn:
            (outputs, kept), rows = self._head.run(features, anchors, more=more, keep=(self._prototypes,))
            yield np.asarray(outputs[self._coefficients][rows], np.float32), kept[self._prototypes]

    def _map(self, features: FrameFeatures) -> DeviceArray:
        return features.maps[_PROTOTYPE_FEATURES if self._own_maps else f"features_{features.grid.levels[0].stride}"]

    def _more(self, features: FrameFeatures, region: Region) -> dict[str, DeviceArray | Array]:
        more: dict[str, DeviceArray | Array] = {}
        height, width = self.size(features)
        for axis, first, last, length in (
            ("rows", region.top, region.bottom, height),
            ("columns", region.left, region.right, width),
        ):
            cells = np.arange(first - self._margin, last + self._margin, dtype=np.int64)
            more[axis] = cells.clip(0, length - 1)
            more[f"inside_{axis}"] = ((cells >= 0) & (cells < length)).astype(np.float32)
        if self._own_maps:
            more[_PROTOTYPE_FEATURES] = features.maps[_PROTOTYPE_FEATURES]
        return more
