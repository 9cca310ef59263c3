"""PrototypeDecoding: mask sources of prototypes, on the host or where a device left them."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from fastsam_engine import Session
from fastsam_engine.device_array import Array, DeviceArray
from fastsam_trt.frames.helper_inputs import prototype_coordinates
from fastsam_trt.frames.letterbox import Letterbox
from fastsam_trt.masks.map_to_frame import MapToFrame, MapToFrameCache
from fastsam_trt.masks.mask_source import MaskSource
from fastsam_trt.masks.prototype import PrototypeMasks
from fastsam_trt.masks.prototype_on_device import DevicePrototypeMasks

_KEPT_BYTES = 512 << 20
"""Prototypes that stay on the device, of earlier frames whose results somebody holds.

Far more than the frames that are under way at once in a flow or on a few threads have (3 MB each at 640 px, 52 MB at
2560), since what is copied back costs more than what stays; but a bound, because a caller may keep any number.
"""


class PrototypeDecoding:
    """Makes the undecoded masks of one frame after the other.

    Any thread may ask. From `settle` to the masks of the frame that was run after it, one frame at a time.
    """

    def __init__(self, session: Session | None, kept_bytes: int = _KEPT_BYTES) -> None:
        """Prepare.

        Args:
            session: The model's decode graph, open; None: all is done on the host.
            kept_bytes: How much of earlier frames may stay on the device.
        """
        self._session = session
        self._kept_bytes = kept_bytes
        self._lock = threading.Lock()
        self._resizes = MapToFrameCache()
        self._geometry: tuple[MapToFrame, Mapping[str, DeviceArray]] | None = None
        self._made: list[weakref.ref[DevicePrototypeMasks]] = []

    def __call__(
        self,
        prototypes: Array | DeviceArray,
        coefficients: NDArray[np.float32],
        boxes: NDArray[np.float32],
        letterbox: Letterbox,
    ) -> MaskSource:
        """The masks of n segments.

        Args:
            prototypes: (1, c, ph, pw), over the model's input.
            coefficients: (n, c) float32.
            boxes: (n, 4) float32 xyxy, px of the frame.
            letterbox: Where the frame lies in the model's input.
        """
        resize = self._resizes(letterbox, *prototypes.shape[2:])
        make = partial(_on_host, coefficients, boxes, resize)
        if self._session is None or not isinstance(prototypes, DeviceArray):
            whole = prototypes.to_host() if isinstance(prototypes, DeviceArray) else prototypes
            return make(np.asarray(whole[0], np.float32))
        geometry = self._uploaded(self._session, resize)
        masks = DevicePrototypeMasks(self._session, prototypes, coefficients, boxes, geometry, letterbox.frame_w, make)
        with self._lock:
            self._made.append(weakref.ref(masks))
        return masks

    def settle(self) -> None:
        """Let earlier results keep what the segmenter's next run would overwrite.

        The latest ones keep their prototypes on the device. Older ones that somebody still holds, beyond what may stay
        there, keep them on the host.
        """
        with self._lock:
            alive = [masks for masks in (each() for each in self._made) if masks is not None]
            kept: list[DevicePrototypeMasks] = []
            room = self._kept_bytes
            for masks in reversed(alive):
                room -= masks.device_bytes
                if room < 0 and masks is not alive[-1]:
                    masks.to_host()
                elif masks.own():
                    kept.append(masks)
            self._made = [weakref.ref(masks) for masks in reversed(kept)]

    def close(self) -> None:
        """Bring all prototypes that are still in use to the host."""
        with self._lock:
            for masks in (each() for each in self._made):
                if masks is not None:
                    masks.to_host()
            self._made.clear()

    def _uploaded(self, session: Session, resize: MapToFrame) -> Mapping[str, DeviceArray]:
        geometry = self._geometry
        if geometry is None or geometry[0] is not resize:
            fine = "row_cells" in session.spec.input_names
            places = prototype_coordinates(resize.letterbox, resize.cells_h, resize.cells_w, fine=fine)
            self._geometry = geometry = resize, {name: session.upload(array) for name, array in places.items()}
        return geometry[1]


def _on_host(
    coefficients: NDArray[np.float32], boxes: NDArray[np.float32], resize: MapToFrame, prototypes: NDArray[np.float32]
) -> PrototypeMasks:
    return PrototypeMasks(prototypes, coefficients, boxes, resize)
