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
from fastsam_trt.masks.prototypes import Prototypes
from fastsam_trt.sparse.features import FrameFeatures
from fastsam_trt.sparse.mask_head import MaskHead
from fastsam_trt.sparse.tiles import Tiles

_logger = logging.getLogger(__name__)

DecodeOnDevice = Callable[[FrameFeatures, NDArray[np.intp], NDArray[np.float32], MapToFrame], list[MaskCrop]]
"""Decodes masks on the device: features, (k,) anchors, (k, 4) boxes, and the resize to the frame."""


class WholeMap:
    """The prototypes of a frame's whole map, once they are computed: all masks of the frame share them.

    Attributes:
        prototypes: None: not computed.
    """

    __slots__ = ("prototypes",)

    def __init__(self) -> None:
        self.prototypes: Prototypes | None = None


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
        coefficients, prototypes = self._with_whole_map(features, self._anchors)
        return PrototypeMasks(prototypes, coefficients, self._boxes, self._resize)

    def _with_whole_map(
        self, features: FrameFeatures, anchors: NDArray[np.intp]
    ) -> tuple[NDArray[np.float32], Prototypes]:
        """The coefficients of (k,) anchors, and the prototypes of the whole map, which are computed once per frame."""
        if self._whole.prototypes is not None:
            return self._head.coefficients(features, anchors), self._whole.prototypes
        coefficients, self._whole.prototypes = self._head.run(features, anchors, None)
        return coefficients, self._whole.prototypes

    def _decode(self, features: FrameFeatures, chosen: NDArray[np.intp]) -> list[MaskCrop]:
        """Decode (k,) masks, on the host with the prototypes of the tiles that they depend on."""
        anchors, boxes, edges = self._anchors[chosen], self._boxes[chosen], self._edges[chosen]
        if (edges[:, 2:] <= edges[:, :2]).any(axis=1).all():
            return [empty_crop(*each) for each in edges.tolist()]
        if self._decode_on_device is not None:
            return self._decode_on_device(features, anchors, boxes, self._resize)
        tiles = None if self._whole.prototypes is not None else self._tiles(features, edges)
        coefficients, prototypes = (
            self._with_whole_map(features, anchors) if tiles is None else self._head.run(features, anchors, tiles)
        )
        masks = PrototypeMasks(prototypes, coefficients, boxes, self._resize)
        return masks.decode(range(len(chosen)))

    def _tiles(self, features: FrameFeatures, edges: NDArray[np.intp]) -> Tiles | None:
        """The tiles that the masks in (k, 4) boxes, not all empty, depend on; None: the whole map."""
        rows, columns, per_cell = self._resize.rows, self._resize.columns, self._head.per_cell
        windows = []
        for x0, y0, x1, y1 in edges.tolist():
            if x1 > x0 and y1 > y0:
                (top, bottom), (left, right) = rows.reach(y0, y1), columns.reach(x0, x1)
                windows.append((top // per_cell, left // per_cell, -(-bottom // per_cell), -(-right // per_cell)))
        return self._head.tiles(features, np.array(windows, np.intp))


def _identity(masks: PrototypeMasks) -> PrototypeMasks:
    return masks
