"""Prototype masks that are decoded where the prototypes were left; only chosen masks come back, a bit a pixel."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import cast

import numpy as np
from numpy.typing import NDArray

from fastsam_engine import Session
from fastsam_engine.device_array import Array, DeviceArray
from fastsam_engine.errors import GpuError
from fastsam_engine.spec.model_input import ArraysInput
from fastsam_trt.frames.helper_inputs import unpack_masks
from fastsam_trt.masks.batch_ladder import batches, filled
from fastsam_trt.masks.mask_source import MaskCrop
from fastsam_trt.masks.prototype import PrototypeMasks

_logger = logging.getLogger(__name__)


class DevicePrototypeMasks:
    """Undecoded masks of one frame, whose prototypes lie on a device until they are in the way there.

    One thread may decode them while another makes room for the segmenter's next run.
    """

    def __init__(
        self,
        session: Session,
        prototypes: DeviceArray,
        coefficients: NDArray[np.float32],
        boxes: NDArray[np.float32],
        geometry: Mapping[str, DeviceArray],
        width: int,
        on_host: Callable[[NDArray[np.float32]], PrototypeMasks],
    ) -> None:
        """Keep what the masks are made of.

        Args:
            session: The model's decode graph, open.
            prototypes: (1, c, ph, pw) float32, at the session's place.
            coefficients: (n, c) float32.
            boxes: (n, 4) float32 xyxy, px of the frame.
            geometry: The graph's other inputs.
            width: Of the frame, px.
            on_host: Makes the same masks of prototypes (c, ph, pw) on the host.
        """
        self._session, self._geometry = session, geometry
        self._prototypes: DeviceArray | None = prototypes
        self._coefficients, self._boxes, self._width = coefficients, boxes, width
        self._on_host = on_host
        self._host: PrototypeMasks | None = None
        self._owned = False
        self._lock = threading.RLock()  # held while the prototypes are read or moved
        taken = session.spec.input
        self._most = taken.axes["K"][1] if isinstance(taken, ArraysInput) else len(boxes)  # the memory grows with it

    def __reduce__(self) -> tuple[Callable[[PrototypeMasks], PrototypeMasks], tuple[PrototypeMasks]]:
        return _itself, (self.to_host(),)  # what lies on a device can be neither sent nor copied

    def __len__(self) -> int:
        return len(self._boxes)

    def decode(self, indices: Iterable[int]) -> list[MaskCrop]:
        """Decode some masks.

        Args:
            indices: Which.

        Returns:
            A crop for each index, at the frame's resolution.
        """
        chosen = np.fromiter(indices, np.intp)
        with self._lock:
            if self._prototypes is not None:
                crops: list[MaskCrop] = []
                for part, size in batches(self._session, len(chosen), self._most):
                    crops += self._decode(chosen[part], size)
                return crops
        return self.to_host().decode(chosen.tolist())

    def coarse(self, index: int, window: NDArray[np.float64], size_px: int) -> NDArray[np.bool_]:
        """See `MaskSource.coarse`; brings the prototypes to the host."""
        return self.to_host().coarse(index, window, size_px)

    @property
    def device_bytes(self) -> int:
        """How much lies on the device; 0 once it was brought to the host."""
        prototypes = self._prototypes
        return 0 if prototypes is None else math.prod(prototypes.shape) * prototypes.dtype.itemsize

    def own(self) -> bool:
        """Move the prototypes out of the way of the segmenter's next run: on the device, or to the host if it is full.

        Returns:
            Whether they are on the device.
        """
        with self._lock:
            if self._prototypes is not None and not self._owned:
                try:
                    self._prototypes, self._owned = self._prototypes.own(), True
                except GpuError as error:
                    _logger.info("masks are decoded on the host: %s", error)
                    self.to_host()
            return self._prototypes is not None

    def to_host(self) -> PrototypeMasks:
        """Bring the prototypes to the host, where masks are decoded from now on."""
        with self._lock:
            if self._prototypes is not None:
                self._host = self._on_host(np.asarray(self._prototypes.to_host()[0], np.float32))
                self._prototypes = None  # the device has its memory back
            return cast("PrototypeMasks", self._host)  # one of the two is always there

    def _decode(self, chosen: NDArray[np.intp], size: int) -> list[MaskCrop]:
        """Decode masks in one run of so many rows, the last of which have empty boxes."""
        inputs: dict[str, Array | DeviceArray] = {
            "prototypes": cast("DeviceArray", self._prototypes),
            "coefficients": filled(self._coefficients[chosen], size, "constant"),
            "boxes": filled(self._boxes[chosen], size, "constant"),
            **self._geometry,
        }
        packed = self._session.run_kept(inputs, ())[0]["masks"][: len(chosen)]
        masks = unpack_masks(packed, self._width)
        edges = np.ceil(self._boxes[chosen]).astype(np.intp).tolist()
        return [
            MaskCrop(x0, y0, mask[y0 : max(y1, y0), x0 : max(x1, x0)])
            for mask, (x0, y0, x1, y1) in zip(masks, edges, strict=True)
        ]


def _itself(masks: PrototypeMasks) -> PrototypeMasks:
    return masks
