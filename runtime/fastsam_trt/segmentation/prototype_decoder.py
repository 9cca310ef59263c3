"""What the decoders of detections and prototypes share: their outputs, and masks that a device may keep."""

from __future__ import annotations

from typing import ClassVar

from fastsam_engine.session import Session
from fastsam_trt.masks.prototype_maker import PrototypeDecoding
from fastsam_trt.segmentation.decoder import Decoder, OpenPart


class PrototypeDecoder(Decoder):
    """A decoder of two outputs; the prototypes may be left on a device."""

    detections: ClassVar[str]
    """Meaning of the output that is not the prototypes."""

    def __init__(self, session: Session, open_part: OpenPart) -> None:
        super().__init__(session, open_part)
        names = {output.meaning: output.name for output in self.spec.outputs}
        self._detections, self._prototypes = names[self.detections], names["mask-prototypes"]
        self._masks = PrototypeDecoding(None)

    def leave(self, session: Session) -> tuple[str, ...]:
        self._masks = PrototypeDecoding(session)
        return (self._prototypes,)

    def settle(self) -> None:
        self._masks.settle()

    def close(self) -> None:
        self._masks.close()
