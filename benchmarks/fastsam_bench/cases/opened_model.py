"""OpenedModel: a model that is open for all its cells, with its stages watched."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fastsam_bench.cases.case import ModelCase
from fastsam_bench.timing.stage_clock import StageClock
from fastsam_engine import Session
from fastsam_engine.opener import open_session
from fastsam_engine.spec.model_input import ImageInput
from fastsam_engine.store.model_store import beside
from fastsam_trt.clip.model import Clip
from fastsam_trt.errors import OptionError
from fastsam_trt.frames.letterbox import Letterbox, fit
from fastsam_trt.frames.rectangles import Rectangle
from fastsam_trt.pipeline.pipeline import Pipeline
from fastsam_trt.segmentation.decoder import Decoder, Thresholds, decoder_for
from fastsam_trt.segmentation.segmenter import Segmenter
from fastsam_trt.segmentation.segments import Segments

PROMPT = "a red circle"
_LOWER_CONF = (0.1, 0.01, 0.001, 0.0)


class CountedSegmenter:
    """Stands in for a pipeline's segmenter: as many segments a frame as asked for, the model's own over and over."""

    def __init__(self, segmenter: Segmenter, count: int) -> None:
        self._segmenter = segmenter
        self._count = count

    def timed(
        self, frame: NDArray[np.uint8], thresholds: Thresholds | None = None, rectangle: Rectangle = "smallest"
    ) -> tuple[Segments, dict[str, float]]:
        segments, speed = self._segmenter.timed(frame, thresholds, rectangle)
        return segments.take(np.resize(np.arange(len(segments)), self._count)), speed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._segmenter, name)


class OpenedModel:
    """A pipeline that serves any cell of its model, one at a time.

    Attributes:
        case: What was asked for.
        pipeline: Selects everything, or what CLIP sees in a number of crops; see `use`.
        clock: Watches `engine`, `clip`, `tower` (the network in `clip`) and `copy` (uploads of frames).
        name: Of the model; ids have it.
    """

    def __init__(self, case: ModelCase, open_clip: Callable[[str], Clip]) -> None:
        """Open it.

        Args:
            case: What to open.
            open_clip: Opens a CLIP model, or gives one that is open.

        Raises:
            FastsamError: As `Pipeline`.
        """
        self.case = case
        clip = None if case.clip is None else open_clip(case.clip)
        self.pipeline = Pipeline(
            case.model,
            clip=clip,
            selector="clip",
            threshold=0.0,  # every crop answers: how many masks are decoded does not depend on CLIP's weights
            backend=case.backend,
            device=case.device,
            precision=case.precision,
        )
        self._segmenter = self.pipeline.segmenter
        self.session: Session = self._segmenter.session
        self.name = self.session.spec.name
        self._thresholds = self._segmenter.thresholds
        self.clock = StageClock()
        self.clock.observe(self.session, "engine")
        self.clock.observe(self._segmenter.uploads, "copy")
        if clip is not None:
            self.clock.observe(clip, "clip")
            self.clock.observe(clip.session, "tower")

    @property
    def image(self) -> ImageInput:
        """What the session takes."""
        return cast("ImageInput", self.session.spec.input)

    def placed(self, size: tuple[int, int]) -> Letterbox:
        """Where a frame of (height, width) px lies in the model's input, as frames of one size do."""
        return fit(*size, self.image)

    def open_decoder(self) -> Decoder:
        """A decoder of the session's outputs that does not share its state with the pipeline's."""
        path, session = self.session.path, self.session
        return decoder_for(
            session, lambda part: open_session(beside(path, part), session.backend, session.device, self.case.precision)
        )

    def conf_for_crops(self, frames: Iterable[NDArray[np.uint8]]) -> float:
        """The highest threshold at which each frame has a segment, since there is nothing to crop else.

        Args:
            frames: (H, W, 3) uint8 BGR each.

        Raises:
            OptionError: There is none.
        """
        pictures = list(frames)
        usual = self._thresholds.conf
        for conf in (usual, *(each for each in _LOWER_CONF if each < usual)):
            self._segmenter.thresholds = replace(self._thresholds, conf=conf)
            if all(len(self._segmenter(picture)) for picture in pictures):
                return conf
        raise OptionError("crops", f"a segment or more of {self.name} in each frame", 0)

    def use(self, crops: int, conf: float | None = None) -> None:
        """Get ready for a cell.

        Args:
            crops: With none everything is selected; else so many segments, by CLIP.
            conf: Lowest score of a segment; None: the model's default.
        """
        segmenter = self._segmenter
        segmenter.thresholds = self._thresholds if conf is None else replace(self._thresholds, conf=conf)
        self.pipeline.prompts = (PROMPT,) if crops else ()
        self.pipeline.segmenter = cast("Segmenter", CountedSegmenter(segmenter, crops)) if crops else segmenter

    @property
    def usual_conf(self) -> float:
        """The model's own threshold."""
        return self._thresholds.conf
