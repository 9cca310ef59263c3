"""The registry of decoders: how a family's raw outputs become segments."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from numbers import Integral, Real
from typing import Any, ClassVar, TypeAlias

from fastsam_engine.discovery import import_modules
from fastsam_engine.errors import ModelFileError
from fastsam_engine.session import Session
from fastsam_engine.spec.model_input import ImageInput
from fastsam_trt.errors import OptionError
from fastsam_trt.frames.letterbox import Letterbox
from fastsam_trt.segmentation.segments import Segments

OpenPart: TypeAlias = Callable[[str], Session]
Outputs: TypeAlias = Mapping[str, Any]  # arrays; typing each as one that may lie elsewhere would burden all families


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What counts as a segment.

    Attributes:
        conf: Lowest score, 0..1.
        iou: Highest overlap of two segments of one class, 0..1 (models that need NMS only).
        agnostic_nms: Whether `iou` bounds the overlap of any two segments, whatever their classes.
        max_segments: Most segments a frame.
        classes: Class ids to keep; None: all.
        components: Whether a class's map is split into its connected parts (semantic models only).
    """

    conf: float
    iou: float
    max_segments: int
    classes: tuple[int, ...] | None = None
    components: bool = False
    agnostic_nms: bool = False

    def __post_init__(self) -> None:
        for name in ("conf", "iou"):
            value = getattr(self, name)
            if not isinstance(value, Real) or not 0 <= float(value) <= 1:
                raise OptionError(name, "a number from 0 to 1", value)
        if not isinstance(self.max_segments, Integral) or self.max_segments < 1:
            raise OptionError("max_segments", "a whole number of 1 or more", self.max_segments)


class Decoder(ABC):
    """Reads the raw outputs of one family's graphs."""

    family: ClassVar[str]

    def __init__(self, session: Session, open_part: OpenPart) -> None:
        """Prepare for one model.

        Args:
            session: Its first graph, open.
            open_part: Opens another graph of the model by its part (`masks`: `M.masks.onnx`) as the first was opened.
        """
        self.spec = session.spec

    def leave(self, session: Session) -> tuple[str, ...]:
        """Take the model's decode graph, open, where one is at hand for outputs that lie on a device.

        Args:
            session: `M.decode.onnx`, at the first graph's place.

        Returns:
            Names of the outputs that may be left there from now on.
        """
        return ()

    def settle(self) -> None:  # noqa: B027 - most families leave nothing
        """Let earlier segments keep what the model's next run would overwrite of the outputs that were left."""

    def close(self) -> None:  # noqa: B027 - as above
        """Let all earlier segments keep what they need of the outputs that were left: the graphs are about to go."""

    @abstractmethod
    def decode(self, outputs: Outputs, letterbox: Letterbox, thresholds: Thresholds) -> Segments:
        """Make segments of one frame's outputs.

        Args:
            outputs: As `Session.run` returns them, save those that `leave` named, which may be device arrays.
            letterbox: Where the frame lies in the model's input.
            thresholds: What counts.
        """


_REGISTERED: dict[str, type[Decoder]] = {}


def register(decoder: type[Decoder]) -> type[Decoder]:
    """Class decorator that makes a decoder known under its family."""
    _REGISTERED[decoder.family] = decoder
    return decoder


def decoder_for(session: Session, open_part: OpenPart) -> Decoder:
    """The decoder of a session's family; see `Decoder` for the arguments.

    Raises:
        ModelFileError: The model is no segmenter, takes more pictures than one at a time, or is of a family that this
            version does not know.
    """
    spec = session.spec
    if spec.task != "segment":
        raise ModelFileError(
            session.path, f"expected a segmenter, found a model of task {spec.task!r}", "give another --model"
        )
    one_at_a_time(session)
    families = _families()
    if spec.family not in families:
        known = ", ".join(sorted(families))
        raise ModelFileError(
            session.path, f"expected a family among {known}, found {spec.family!r}", "upgrade fastsam-trt"
        )
    return families[spec.family](session, open_part)


def one_at_a_time(session: Session) -> None:
    """Refuse a graph that can't be given a single picture.

    Raises:
        ModelFileError: Its batch is fixed at several.
    """
    image = session.spec.input
    if isinstance(image, ImageInput) and image.batch[0] > 1:
        raise ModelFileError(
            session.path,
            f"expected a graph that takes one picture, found a batch of {image.batch[0]}",
            "export it again with: yolo export model=WEIGHTS.pt format=onnx batch=1 dynamic=True, "
            "or fastsam-trt export NAME --weights WEIGHTS.pt",
        )


@cache
def _families() -> dict[str, type[Decoder]]:
    import_modules("fastsam_trt.segmentation.families")
    return dict(_REGISTERED)
