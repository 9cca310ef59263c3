"""Decoders of model families, from raw outputs to segments, and their registry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from numbers import Integral, Real
from typing import Any, ClassVar, TypeAlias

from fastsam_engine.errors import ModelFileError
from fastsam_engine.import_names import import_modules
from fastsam_engine.session import Session
from fastsam_engine.spec.model_input import ImageInput
from fastsam_trt.errors import OptionError
from fastsam_trt.frames.letterbox import Letterbox
from fastsam_trt.segmentation.segments import Segments
from fastsam_trt.sparse.crossing import ComputeName

OpenPart: TypeAlias = Callable[[str], Session]
Outputs: TypeAlias = Mapping[str, Any]  # `Array | DeviceArray` would burden every family with a check


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Which detections count as segments.

    Attributes:
        conf: Lowest score, 0..1.
        iou: Highest IoU of the boxes of two segments of one class, 0..1 (only for models that need NMS).
        max_segments: Most segments per frame.
        classes: Class ids to keep; None: all.
        components: Whether the map of a class is split into connected components (semantic models only).
        agnostic_nms: Whether `iou` applies to any two segments, whatever their classes.
        selectable: Class ids that can be selected from the frame. Segments of other classes may be left out of the
            result at first, see `Segments.remainder`. None: all.
    """

    conf: float
    iou: float
    max_segments: int
    classes: tuple[int, ...] | None = None
    components: bool = False
    agnostic_nms: bool = False
    selectable: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("conf", "iou"):
            value = getattr(self, name)
            if not isinstance(value, Real) or not 0 <= float(value) <= 1:
                raise OptionError(name, "a number from 0 to 1", value)
        if not isinstance(self.max_segments, Integral) or self.max_segments < 1:
            raise OptionError("max_segments", "a whole number of 1 or more", self.max_segments)


class Decoder(ABC):
    """Decodes the raw outputs of one family's graphs."""

    family: ClassVar[str]
    kept_outputs: tuple[str, ...] = ()
    """Names of the outputs to keep on the device, where the decoder uses them."""

    def __init__(self, session: Session, open_part: OpenPart) -> None:
        """Set up for one model.

        Args:
            session: Its first graph, open.
            open_part: Opens another graph of the model by its part (`masks`: `M.masks.onnx`), with the options that
                the first was opened with.
        """
        self.spec = session.spec

    def use_compute(self, compute: ComputeName) -> None:
        """Set what to compute, where the family has the choice.

        Raises:
            OptionError: The model can't compute only what can be selected.
        """
        if compute == "sparse":
            hint = "export it again with fastsam-trt export, which makes sparse graphs of YOLO segmenters"
            raise OptionError("compute", f"auto or dense for {self.spec.name}, a dense graph", compute, hint)

    def use_device_decode(self, session: Session) -> tuple[str, ...]:
        """Decode masks on the device from now on, where the family can.

        Args:
            session: The model's decode graph, `M.decode.onnx`, open in the same memory as the first graph.

        Returns:
            Names of the outputs to keep on the device.
        """
        return ()

    def detach_earlier_results(self) -> None:  # noqa: B027 - most families keep nothing on the device
        """Copy what earlier segments need from kept outputs, before the model's next run overwrites them."""

    def close(self) -> None:  # noqa: B027 - as above
        """Bring what earlier segments need from kept outputs to the host, before the graphs are closed."""

    @abstractmethod
    def decode(self, outputs: Outputs, letterbox: Letterbox, thresholds: Thresholds) -> Segments:
        """Decode one frame's outputs.

        Args:
            outputs: As `Session.run_kept` returns them; `kept_outputs` are device arrays, and those that
                `use_device_decode` named may be.
            letterbox: Where the frame lies in the model's input.
            thresholds: Which detections count.
        """


_REGISTERED: dict[str, type[Decoder]] = {}


def register(decoder: type[Decoder]) -> type[Decoder]:
    """Class decorator that registers a decoder under its family."""
    _REGISTERED[decoder.family] = decoder
    return decoder


def decoder_for(session: Session, open_part: OpenPart) -> Decoder:
    """The decoder of a session's family; see `Decoder` for the arguments.

    Raises:
        ModelFileError: The model is no segmenter, needs a batch of several images, or is of an unknown family.
    """
    spec = session.spec
    if spec.task != "segment":
        raise ModelFileError(
            session.path, f"expected a segmenter, found a model of task {spec.task!r}", "give another --model"
        )
    check_batch_of_one(session)
    families = _families()
    if spec.family not in families:
        known = ", ".join(sorted(families))
        raise ModelFileError(
            session.path, f"expected a family among {known}, found {spec.family!r}", "upgrade fastsam-trt"
        )
    return families[spec.family](session, open_part)


def check_batch_of_one(session: Session) -> None:
    """Refuse a graph that can't run on a single image.

    Raises:
        ModelFileError: Its smallest batch is above one.
    """
    image = session.spec.input
    if isinstance(image, ImageInput) and image.batch[0] > 1:
        raise ModelFileError(
            session.path,
            f"expected a graph that takes one image, found a batch of {image.batch[0]}",
            "export it again with: yolo export model=WEIGHTS.pt format=onnx batch=1 dynamic=True, "
            "or fastsam-trt export NAME --weights WEIGHTS.pt",
        )


@cache
def _families() -> dict[str, type[Decoder]]:
    import_modules("fastsam_trt.segmentation.families")
    return dict(_REGISTERED)
