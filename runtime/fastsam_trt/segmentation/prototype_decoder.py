"""The base of decoders whose models give detections and mask prototypes; prototypes may stay on the device."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fastsam_engine.device_array import Array, DeviceArray
from fastsam_engine.session import Session
from fastsam_trt.frames.letterbox import Letterbox
from fastsam_trt.masks.device_decode import DeviceDecode
from fastsam_trt.masks.kept_masks import KeptMasks
from fastsam_trt.masks.map_to_frame import MapToFrameCache
from fastsam_trt.masks.mask_source import MaskSource
from fastsam_trt.masks.prototype import PrototypeMasks
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
        earlier: Masks of earlier frames that keep prototypes on the device.
    """

    detections: ClassVar[str]
    """Meaning of the output that holds the detections."""

    def __init__(self, session: Session, open_part: OpenPart) -> None:
        super().__init__(session, open_part)
        names = {output.meaning: output.name for output in self.spec.outputs}
        self._detections, self._prototypes = names[self.detections], names["mask-prototypes"]
        self.max_device_bytes = _MAX_DEVICE_BYTES
        self._decode: DeviceDecode | None = None
        self._resizes = MapToFrameCache()
        self.earlier = KeptMasks()

    def use_device_decode(self, session: Session) -> tuple[str, ...]:
        self._decode = DeviceDecode(session)
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
        if self._decode is None or not isinstance(prototypes, DeviceArray):
            on_host = prototypes.to_host() if isinstance(prototypes, DeviceArray) else prototypes
            return PrototypeMasks(np.asarray(on_host[0], np.float32), coefficients, boxes, resize)
        masks = self._decode.masks(prototypes, coefficients, boxes, resize)
        self.earlier.add(masks)
        return masks

    def detach_earlier_results(self) -> None:
        """Copy the prototypes of earlier results, which the model's next run overwrites; see `KeptMasks`."""
        self.earlier.detach(self.max_device_bytes)

    def close(self) -> None:
        """Bring all prototypes that are still in use to the host."""
        self.earlier.close()
