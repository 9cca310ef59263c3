"""SparseMasks: undecoded masks of a frame, whose coefficients and prototypes are not computed either."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from typing import cast

import numpy as np
from numpy.typing import NDArray

from fastsam_engine.errors import ClosedError, GpuError
from fastsam_trt.masks.map_to_frame import MapToFrame
from fastsam_trt.masks.mask_source import MaskCrop, empty_crop
from fastsam_trt.masks.prototype import PrototypeMasks
from fastsam_trt.sparse.features import FrameFeatures
from fastsam_trt.sparse.mask_head import MaskHead
from fastsam_trt.sparse.regions import Region, regions_around

_logger = logging.getLogger(__name__)

DecodeOnDevice = Callable[[FrameFeatures, NDArray[np.intp], NDArray[np.float32], MapToFrame], list[MaskCrop]]
"""Decodes masks on the device: features, (k,) anchors, (k, 4) boxes, and the resize to the frame."""


class WholeMap:
    """The prototypes of a frame's whole map, once they are computed: all masks of the frame share them.

    Attributes:
        prototypes: (c, h, w) float32; None: not computed.
    """

    __slots__ = ("prototypes",)

    def __init__(self) -> None:
        self.prototypes: NDArray[np.float32] | None = None


class SparseMasks:
    """Undecoded masks of one frame. Decoding computes what the masks depend on, and no more.

    The features of the frame are kept until `to_host` replaces them by what all masks consist of. One thread may decode
    while another does that.
    """

    def __init__(
        self,
        head: MaskHead,
        features: FrameFeatures,
        anchors: NDArray[np.intp],
        boxes: NDArray[np.float32],
        resize: MapToFrame,
        whole: WholeMap,
        decode_on_device: DecodeOnDevice | None = None,
    ) -> None:
        """Hold what the masks are computed from.

        Args:
            head: Computes coefficients and prototypes.
            features: Of the frame.
            anchors: (n,) anchors of the segments.
            boxes: (n, 4) float32 xyxy, px of the frame.
            resize: From the prototypes of the whole map to the frame.
            whole: Of the frame.
            decode_on_device: Decodes masks where the features are; None: on the host.
        """
        self._head, self._anchors, self._boxes, self._resize = head, anchors, boxes, resize
        self._features: FrameFeatures | None = features
        self._whole = whole
        self._decode_on_device = decode_on_device
        self._edges = np.ceil(boxes).astype(np.intp)
        self._on_host: PrototypeMasks | None = None
        self._owned = False
        self._lock = threading.RLock()  # held while the features are read or replaced

    def __reduce__(self) -> tuple[Callable[[PrototypeMasks], PrototypeMasks], tuple[PrototypeMasks]]:
        return _identity, (self.to_host(),)  # the graphs can be neither pickled nor copied

    def __len__(self) -> int:
        return len(self._anchors)

    @property
    def kept_bytes(self) -> int:
        """Bytes of the features; 0 once they are replaced."""
        features = self._features
        return 0 if features is None else features.nbytes

    def decode(self, indices: Iterable[int]) -> list[MaskCrop]:
        """Decode masks by index; see `MaskSource.decode`."""
        chosen = np.fromiter(indices, np.intp)
        with self._lock:
            if not len(chosen):
                return []
            if self._features is not None:
                try:
                    return self._decode(self._features, chosen)
                except ClosedError:
                    if self._features is not None:  # else `close`, on this thread, brought them to the host first
                        raise
            return self.to_host().decode(chosen.tolist())

    def coarse(self, index: int, window: NDArray[np.float64], size_px: int) -> NDArray[np.bool_]:
        """See `MaskSource.coarse`. Whoever looks at one coarse mask looks at many, so it computes the whole map."""
        return self.to_host().coarse(index, window, size_px)

    def copy_owned(self) -> bool:
        """Copy the features to memory that the trunk's next run does not overwrite, or bring all masks to the host.

        Further calls do nothing.

        Returns:
            Whether there are features to keep.
        """
        with self._lock:
            if self._features is not None and not self._owned:
                try:
                    self._features, self._owned = self._features.copy_owned(), True
                except GpuError as error:
                    _logger.info("masks are decoded on the host: %s", error)
                    self.to_host()
            return self._features is not None

    def to_host(self) -> PrototypeMasks:
        """Compute the coefficients of all masks and the prototypes of the whole map, which replace the features."""
        with self._lock:
            if self._features is not None:
                try:
                    self._on_host = self._on_whole_map(self._features)
                except ClosedError:
                    if self._on_host is None:  # else `close`, on this thread, did this first
                        raise
                self._features = None
            return cast("PrototypeMasks", self._on_host)  # one of the two is always set

    def _on_whole_map(self, features: FrameFeatures) -> PrototypeMasks:
        height, width = (1, 1) if self._whole.prototypes is not None else self._head.size(features)
        coefficients, prototypes = self._head.run(features, self._anchors, Region(0, 0, height, width))
        if self._whole.prototypes is None:
            self._whole.prototypes = prototypes
        return PrototypeMasks(self._whole.prototypes, coefficients, self._boxes, self._resize)

    def _decode(self, features: FrameFeatures, chosen: NDArray[np.intp]) -> list[MaskCrop]:
        """Decode (k,) masks, on the host region by region."""
        if self._decode_on_device is not None:
            return self._decode_on_device(features, self._anchors[chosen], self._boxes[chosen], self._resize)
        crops: dict[int, MaskCrop] = {}
        edges = self._edges[chosen]
        visible = np.flatnonzero((edges[:, 2:] > edges[:, :2]).all(axis=1))
        for index in np.setdiff1d(np.arange(len(chosen)), visible).tolist():
            crops[index] = empty_crop(*edges[index].tolist())
        if len(visible):
            for region, members in self._regions(features, edges[visible]):
                part = visible[members]
                anchors, boxes = self._anchors[chosen[part]], self._boxes[chosen[part]]
                coefficients, prototypes = self._head.run(features, anchors, region)
                origin = region.top * self._head.per_cell, region.left * self._head.per_cell
                masks = PrototypeMasks(prototypes, coefficients, boxes, self._resize, origin)
                crops.update(zip(part.tolist(), masks.decode(range(len(part))), strict=True))
        return [crops[index] for index in range(len(chosen))]

    def _regions(self, features: FrameFeatures, edges: NDArray[np.intp]) -> list[tuple[Region, NDArray[np.intp]]]:
        """The regions that the masks in (k, 4) boxes, not empty, depend on."""
        height, width = self._head.size(features)
        if self._head.computes_whole_maps:
            return [(Region(0, 0, height, width), np.arange(len(edges)))]
        rows, columns, per_cell = self._resize.rows, self._resize.columns, self._head.per_cell
        windows = np.empty((len(edges), 4), np.intp)
        for window, (x0, y0, x1, y1) in zip(windows, edges.tolist(), strict=True):
            (top, bottom), (left, right) = rows.reach(y0, y1), columns.reach(x0, x1)
            window[:] = top // per_cell, left // per_cell, -(-bottom // per_cell), -(-right // per_cell)
        return regions_around(windows, height, width, self._head.cells_per_run(features))


def _identity(masks: PrototypeMasks) -> PrototypeMasks:
    return masks
