"""Prototype masks that are decoded on the device. Only the requested masks come back, one bit per pixel."""

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
from fastsam_trt.masks.map_to_frame import MapToFrame
from fastsam_trt.masks.mask_source import MaskCrop
from fastsam_trt.masks.prototype import PrototypeMasks

_logger = logging.getLogger(__name__)


class DevicePrototypeMasks:
    """Undecoded masks of one frame, whose prototypes are on a device until its memory is needed.

    One thread may decode them while another frees the memory for the segmenter's next run.
    """

    def __init__(
        self,
        session: Session,
        prototypes: DeviceArray,
        coefficients: NDArray[np.float32],
        boxes: NDArray[np.float32],
        coordinates: Mapping[str, DeviceArray],
        resize: MapToFrame,
    ) -> None:
        """Hold the parts of the masks.

        Args:
            session: The model's decode graph, open.
            prototypes: (1, c, ph, pw) float32, in the session's memory.
            coefficients: (n, c) float32.
            boxes: (n, 4) float32 xyxy, px of the frame.
            coordinates: The graph's other inputs, see `helper_inputs.prototype_coordinates`.
            resize: From the prototypes to the frame, for masks that are decoded on the host.
        """
        self._session, self._coordinates = session, coordinates
        self._prototypes: DeviceArray | None = prototypes
        self._coefficients, self._boxes, self._resize = coefficients, boxes, resize
        self._on_host: PrototypeMasks | None = None
        self._owned = False
        self._lock = threading.RLock()  # held while the prototypes are read or moved
        inputs = session.spec.input
        # The graph's memory grows with the number of masks per run.
        self._most = inputs.axes["K"][1] if isinstance(inputs, ArraysInput) else len(boxes)

    def __reduce__(self) -> tuple[Callable[[PrototypeMasks], PrototypeMasks], tuple[PrototypeMasks]]:
        return _identity, (self.to_host(),)  # device memory can be neither pickled nor copied

    def __len__(self) -> int:
        return len(self._boxes)

    def decode(self, indices: Iterable[int]) -> list[MaskCrop]:
        """Decode masks by index; see `MaskSource.decode`."""
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
    def kept_bytes(self) -> int:
        """Bytes of the prototypes on the device; 0 once they are on the host."""
        prototypes = self._prototypes
        return 0 if prototypes is None else math.prod(prototypes.shape) * prototypes.dtype.itemsize

    def copy_owned(self) -> bool:
        """Copy the prototypes to memory that the segmenter's next run does not overwrite.

        They are copied on the device, or to the host if the device is full. Further calls do nothing.

        Returns:
            Whether they are on the device.
        """
        with self._lock:
            if self._prototypes is not None and not self._owned:
                try:
                    self._prototypes, self._owned = self._prototypes.copy_owned(), True
                except GpuError as error:
                    _logger.info("masks are decoded on the host: %s", error)
                    self.to_host()
            return self._prototypes is not None

    def to_host(self) -> PrototypeMasks:
        """Bring the prototypes to the host, where masks are decoded from now on."""
        with self._lock:
            if self._prototypes is not None:
                prototypes = np.asarray(self._prototypes.to_host()[0], np.float32)
                self._on_host = PrototypeMasks(prototypes, self._coefficients, self._boxes, self._resize)
                self._prototypes = None  # frees the device's memory
            return cast("PrototypeMasks", self._on_host)  # one of the two is always set

    def _decode(self, chosen: NDArray[np.intp], size: int) -> list[MaskCrop]:
        """Decode masks in one run of `size` rows; rows beyond the chosen ones have empty boxes."""
        inputs: dict[str, Array | DeviceArray] = {
            "prototypes": cast("DeviceArray", self._prototypes),
            "coefficients": filled(self._coefficients[chosen], size, "constant"),
            "boxes": filled(self._boxes[chosen], size, "constant"),
            **self._coordinates,
        }
        packed = self._session.run_kept(inputs, ())[0]["masks"][: len(chosen)]
        masks = unpack_masks(packed, self._resize.letterbox.frame_w)
        edges = np.ceil(self._boxes[chosen]).astype(np.intp).tolist()
        return [
            MaskCrop(x0, y0, mask[y0 : max(y1, y0), x0 : max(x1, x0)])
            for mask, (x0, y0, x1, y1) in zip(masks, edges, strict=True)
        ]


def _identity(masks: PrototypeMasks) -> PrototypeMasks:
    return masks
