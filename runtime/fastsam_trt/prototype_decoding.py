"""PrototypeDecoding: mask sources of prototypes, on the host or where a device left them."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from fastsam_engine import Session
from fastsam_engine.device_array import Array, DeviceArray
from fastsam_trt.device_geometry import cell_places
from fastsam_trt.device_masks import DeviceMasks
from fastsam_trt.letterbox import Letterbox
from fastsam_trt.masks import MaskSource
from fastsam_trt.plane_resize import PlaneResize, PlaneResizes
from fastsam_trt.prototype_masks import PrototypeMasks

_LEFT_ON_DEVICE = 4  # results of earlier frames; a caller may keep any number, and a device's memory is small


class PrototypeDecoding:
    """Makes the undecoded masks of one frame after the other."""

    def __init__(self, session: Session | None) -> None:
        """Prepare.

        Args:
            session: The model's decode graph, open; None: all is done on the host.
        """
        self._session = session
        self._resizes = PlaneResizes()
        self._geometry: tuple[PlaneResize, Mapping[str, DeviceArray]] | None = None
        self._made: list[weakref.ref[DeviceMasks]] = []

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
        masks = DeviceMasks(self._session, prototypes, coefficients, boxes, geometry, letterbox.frame_w, make)
        self._made.append(weakref.ref(masks))
        return masks

    def settle(self) -> None:
        """Let earlier results keep what the segmenter's next run would overwrite.

        The latest ones keep their prototypes on the device, older ones that somebody still holds on the host.
        """
        alive = [masks for masks in (each() for each in self._made) if masks is not None]
        for masks in alive[:-_LEFT_ON_DEVICE]:
            masks.to_host()
        if alive:
            alive[-1].own()
        self._made = [weakref.ref(masks) for masks in alive[-_LEFT_ON_DEVICE:]]

    def close(self) -> None:
        """Bring all prototypes that are still in use to the host."""
        for masks in (each() for each in self._made):
            if masks is not None:
                masks.to_host()

    def _uploaded(self, session: Session, resize: PlaneResize) -> Mapping[str, DeviceArray]:
        if self._geometry is None or self._geometry[0] is not resize:
            fine = "row_cells" in session.spec.input_names
            places = cell_places(resize.letterbox, resize.cells_h, resize.cells_w, fine=fine)
            self._geometry = resize, {name: session.upload(array) for name, array in places.items()}
        return self._geometry[1]


def _on_host(
    coefficients: NDArray[np.float32], boxes: NDArray[np.float32], resize: PlaneResize, prototypes: NDArray[np.float32]
) -> PrototypeMasks:
    return PrototypeMasks(prototypes, coefficients, boxes, resize)
