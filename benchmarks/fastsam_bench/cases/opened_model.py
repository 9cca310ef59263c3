"""Open a model once for all its cells, with a clock on its stages."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from fastsam_bench.cases.case import ModelCase
from fastsam_bench.timing.stage_clock import StageClock
from fastsam_engine import Session
from fastsam_engine.opener import open_session
from fastsam_engine.spec.model_input import ImageInput
from fastsam_engine.store.model_store import sibling_graph
from fastsam_trt.clip.model import Clip
from fastsam_trt.errors import OptionError
from fastsam_trt.frames.letterbox import Letterbox, fit
from fastsam_trt.frames.rectangles import Rectangle
from fastsam_trt.pipeline.pipeline import Pipeline
from fastsam_trt.results.result import Result
from fastsam_trt.segmentation.decoder import Decoder, decoder_for
from fastsam_trt.segmentation.segments import SegmentedFrame

PROMPT = "a red circle"
_LOWER_CONF = (0.1, 0.01, 0.001, 0.0)


class OpenedModel:
    """A pipeline for the cells of one model, used for one cell at a time.

    Attributes:
        case: The requested model.
        pipeline: Selects everything, or by CLIP among a number of crops; see `use`.
        clock: Times the stages `engine`, `clip`, `tower` (the network of `clip`) and `copy` (uploads of frames).
        name: Name of the model in ids of cells.
        reserve_ms: Set by a `Flow`; there is no budget here that would need it.
    """

    def __init__(self, case: ModelCase, open_clip: Callable[[str], Clip]) -> None:
        """Open the model.

        Args:
            case: The model to open.
            open_clip: Opens a CLIP model, or returns an open one.

        Raises:
            FastsamError: As `Pipeline`.
        """
        self.case = case
        clip = None if case.clip is None else open_clip(case.clip)
        self.pipeline = Pipeline(
            case.model,
            clip=clip,
            selector="clip",
            threshold=0.0,  # every crop matches, so the number of decoded masks does not depend on CLIP's weights
            backend=case.backend,
            device=case.device,
            precision=case.precision,
        )
        self._segmenter = self.pipeline.segmenter
        self.session: Session = self._segmenter.session
        self.name = self.session.spec.name
        self._thresholds = self._segmenter.thresholds
        self._crops = 0
        self.reserve_ms = 0.0
        self.clock = StageClock()
        self.clock.observe(self.session, "engine")
        self.clock.observe(self._segmenter.uploads, "copy")
        if clip is not None:
            self.clock.observe(clip, "clip")
            self.clock.observe(clip.session, "tower")

    @property
    def image(self) -> ImageInput:
        """The input of the session."""
        return cast("ImageInput", self.session.spec.input)

    def placed(self, size: tuple[int, int]) -> Letterbox:
        """The letterbox of a frame of (height, width) px."""
        return fit(*size, self.image)

    def open_decoder(self) -> Decoder:
        """A decoder of the session's outputs that shares no state with that of the pipeline."""
        path, session = self.session.path, self.session
        return decoder_for(
            session,
            lambda part: open_session(sibling_graph(path, part), session.backend, session.device, self.case.precision),
        )

    def conf_for_crops(self, frames: Iterable[NDArray[np.uint8]]) -> float:
        """The highest threshold at which every frame has at least one segment to crop.

        Args:
            frames: Frames (H, W, 3) uint8 BGR.

        Raises:
            OptionError: Some frame has no segment at any threshold.
        """
        pictures = list(frames)
        usual = self._thresholds.conf
        for conf in (usual, *(each for each in _LOWER_CONF if each < usual)):
            self._segmenter.thresholds = replace(self._thresholds, conf=conf)
            if all(len(self._segmenter(picture)) for picture in pictures):
                return conf
        raise OptionError("crops", f"a segment of {self.name} in every frame, to crop", 0)

    def use(self, crops: int, conf: float | None = None) -> None:
        """Set the pipeline up for a cell.

        Args:
            crops: Number of segments that CLIP embeds and selects; 0: everything is selected, without CLIP.
            conf: Lowest score of a segment; None: the model's default.
        """
        segmenter = self._segmenter
        segmenter.thresholds = self._thresholds if conf is None else replace(self._thresholds, conf=conf)
        self.pipeline.prompts = (PROMPT,) if crops else ()
        self._crops = crops

    def segment(
        self,
        frame: NDArray[np.uint8],
        *,
        captured_s: float | None = None,
        media_s: float | None = None,
        rectangle: Rectangle | None = "smallest",
    ) -> SegmentedFrame:
        """The first step of a call. With crops the frame has exactly that many segments, repeated from its own.

        Args:
            frame, captured_s, media_s, rectangle: See `Pipeline.segment`.
        """
        segmented = self.pipeline.segment(frame, captured_s=captured_s, media_s=media_s, rectangle=rectangle)
        if not self._crops:
            return segmented
        segments = segmented.segments
        return replace(segmented, segments=segments.take(np.resize(np.arange(len(segments)), self._crops)))

    def select(self, segmented: SegmentedFrame) -> Result:
        """The second step of a call; see `Pipeline.select`."""
        return self.pipeline.select(segmented)

    def process(self, frame: NDArray[np.uint8]) -> Result:
        """A whole call, with the smallest rectangle for the frame."""
        return self.select(self.segment(frame))

    @property
    def usual_conf(self) -> float:
        """The default threshold of the model."""
        return self._thresholds.conf
