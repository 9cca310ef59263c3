"""The base of decoders whose models give detections and mask prototypes; prototypes may stay on the device."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fastsam_engine.device_array import Array, DeviceArray
from fastsam_engine.session import Session
from fastsam_trt.frames.helper_inputs import prototype_coordinates
from fastsam_trt.frames.letterbox import Letterbox
from fastsam_trt.masks.map_to_frame import MapToFrame, MapToFrameCache
from fastsam_trt.masks.mask_source import MaskSource
from fastsam_trt.masks.prototype import PrototypeMasks
from fastsam_trt.masks.prototype_on_device import DevicePrototypeMasks
from fastsam_trt.segmentation.decoder import Decoder, OpenPart

_MAX_DEVICE_BYTES = 512 << 20


class PrototypeDecoder(Decoder):
    """A decoder of two outputs: detections and prototypes.

    With a decode graph, the prototypes of a frame stay on the device, and masks are decoded there. Any thread may call
    it; from `detach_earlier_results` to the masks of the frame that is run next, one frame at a time.

    Attributes:
        max_device_bytes: Most bytes of prototypes that earlier results keep on the device. A frame has 3 MB at 640 px
            and 52 MB at 2560 px. The default is far above what a flow or a few threads hold at once, because copying
            back costs more than keeping. It is a bound all the same, since a caller may keep any number of results.
    """

    detections: ClassVar[str]
    """Meaning of the output that holds the detections."""

    def __init__(self, session: Session, open_part: OpenPart) -> None:
        super().__init__(session, open_part)
        names = {output.meaning: output.name for output in self.spec.outputs}
        self._detections, self._prototypes = names[self.detections], names["mask-prototypes"]
        self.max_device_bytes = _MAX_DEVICE_BYTES
        self._decode_graph: Session | None = None
        self._lock = threading.Lock()
        self._resizes = MapToFrameCache()
        self._coordinates: tuple[MapToFrame, Mapping[str, DeviceArray]] | None = None
        self._on_device: list[weakref.ref[DevicePrototypeMasks]] = []

    def use_device_decode(self, session: Session) -> tuple[str, ...]:
        self._decode_graph = session
        return (self._prototypes,)

    def masks(
        self,
        prototypes: Array | DeviceArray,
        coefficients: NDArray[np.float32],
        boxes: NDArray[np.float32],
        letterbox: Letterbox,
    ) -> MaskSource:
        """The undecoded masks of n segments.

        Args:
            prototypes: (1, c, ph, pw), over the model's input.
            coefficients: (n, c) float32.
            boxes: (n, 4) float32 xyxy, px of the frame.
            letterbox: Where the frame lies in the model's input.
        """
        resize = self._resizes.get(letterbox, *prototypes.shape[2:])
        if self._decode_graph is None or not isinstance(prototypes, DeviceArray):
            on_host = prototypes.to_host() if isinstance(prototypes, DeviceArray) else prototypes
            return PrototypeMasks(np.asarray(on_host[0], np.float32), coefficients, boxes, resize)
        coordinates = self._uploaded(self._decode_graph, resize)
        masks = DevicePrototypeMasks(self._decode_graph, prototypes, coefficients, boxes, coordinates, resize)
        with self._lock:
            self._on_device.append(weakref.ref(masks))
        return masks

    def detach_earlier_results(self) -> None:
        """Copy the prototypes of earlier results, which the model's next run overwrites.

        Those of the latest results are copied on the device. Those of older results, beyond `max_device_bytes`, are
        brought to the host.
        """
        with self._lock:
            alive = [masks for masks in (reference() for reference in self._on_device) if masks is not None]
            kept: list[DevicePrototypeMasks] = []
            room = self.max_device_bytes
            for masks in reversed(alive):
                room -= masks.device_bytes
                if room < 0 and masks is not alive[-1]:
                    masks.to_host()
                elif masks.copy_owned():
                    kept.append(masks)
            self._on_device = [weakref.ref(masks) for masks in reversed(kept)]

    def close(self) -> None:
        """Bring all prototypes that are still in use to the host."""
        with self._lock:
            for masks in (reference() for reference in self._on_device):
                if masks is not None:
                    masks.to_host()
            self._on_device.clear()

    def _uploaded(self, session: Session, resize: MapToFrame) -> Mapping[str, DeviceArray]:
        """The decode graph's inputs that depend on the frame's size only, uploaded once per size."""
        coordinates = self._coordinates
        if coordinates is None or coordinates[0] is not resize:
            fine = "row_cells" in session.spec.input_names
            arrays = prototype_coordinates(resize.letterbox, resize.cells_h, resize.cells_w, fine=fine)
            self._coordinates = coordinates = resize, {name: session.upload(array) for name, array in arrays.items()}
        return coordinates[1]
