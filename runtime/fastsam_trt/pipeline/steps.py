"""PipelineSteps: the two steps of a pipeline, and the settings that apply to them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastsam_engine.concurrency.closable import Closable
from fastsam_trt.clip.model import Clip
from fastsam_trt.frames.image import ColourOrder
from fastsam_trt.frames.image_like import ImageLike
from fastsam_trt.frames.rectangles import Rectangle
from fastsam_trt.pipeline.live_settings import LiveSettings, Setting
from fastsam_trt.pipeline.models import Models
from fastsam_trt.pipeline.selection_stage import SelectionStage
from fastsam_trt.prompts.regions import OutsideName
from fastsam_trt.results.result import Result
from fastsam_trt.segmentation.segmenter import Segmenter
from fastsam_trt.segmentation.segments import SegmentedFrame
from fastsam_trt.selectors import Ranking


class PipelineSteps(Closable):
    """The base of `Pipeline`, which documents the attributes: open models, live settings, `segment` and `select`."""

    prompts = Setting[tuple[str, ...], Iterable[str]]()
    excluded = Setting[tuple[str, ...], Iterable[str]]()
    boxes = Setting[NDArray[np.float64], ArrayLike | None]()
    points = Setting[NDArray[np.float64], ArrayLike | None]()
    point_labels = Setting[NDArray[np.int32], ArrayLike | None]()
    max_selected = Setting[int | None, int | None]()
    threshold = Setting[float, float]()
    track = Setting[bool, bool]()
    budget_ms = Setting[float | None, float | None]()
    reserve_ms = Setting[float, float]()

    segmenter: Segmenter
    _models: Models
    _settings: LiveSettings

    @property
    def clip(self) -> Clip | None:
        """The open CLIP model; None until a prompt needs one."""
        return self._models.clip.opened

    def set_points(self, points: ArrayLike | None, labels: ArrayLike | None = None) -> None:
        """Set `points` and `point_labels` together; no labels: all foreground.

        Raises:
            PromptError: A point or label is invalid; nothing has changed then.
        """
        self._settings.set_points(points, labels)

    def set_regions(
        self,
        boxes: ArrayLike | None = None,
        points: ArrayLike | None = None,
        point_labels: ArrayLike | None = None,
        *,
        outside: OutsideName = "refuse",
    ) -> None:
        """Set `boxes`, `points` and `point_labels` together, so that no frame sees only some of them; None: none.

        Args:
            boxes, points, point_labels: As for `__init__`.
            outside: What to do with boxes and points outside a frame: `refuse` the frame with a `PromptError`, or
                `ignore` them. A stream whose frames change their size goes on with `ignore`.

        Raises:
            PromptError: A box, point or label is invalid; nothing has changed then.
            OptionError: `outside` is unknown.
        """
        self._settings.set_regions(boxes, points, point_labels, outside)

    def segment(
        self,
        frame: ImageLike,
        *,
        colours: ColourOrder | None = None,
        captured_s: float | None = None,
        media_s: float | None = None,
        rectangle: Rectangle | None = None,
    ) -> SegmentedFrame:
        """Find all segments of a frame: the first step of `process`, which may overlap with `select` of another frame.

        Args:
            frame: One image, as for `process`.
            colours, captured_s, media_s, rectangle: As for `process`.

        Raises:
            ImageFormatError, ImageTypeError, NotOneImageError, SourceNotFoundError, SourceUnreadableError: As for
                `process`.
            ClosedError: `close` was called.
        """
        with self._under_way.one():
            chosen = rectangle or self._settings.rectangle
            return self._models.segment(frame, self.segmenter.thresholds, chosen, captured_s, media_s, colours)

    def select(self, segmented: SegmentedFrame, stage: SelectionStage | None = None) -> Result:
        """Track the segments and select what the prompts name: the second step of `process`.

        Args:
            segmented: A result of `segment`; tracked frames in order.
            stage: The stage of the frame's stream; None: that of single calls.

        Raises:
            PromptError: A box or point lies outside the frame.
            ClosedError: `close` was called.
        """
        stage = stage or self._settings.stage
        with self._under_way.one():
            return stage.select(segmented, stage.selectors, self.max_selected)

    def rank(self, result: Result) -> Ranking:
        """Compare every segment of a result of this pipeline with the text prompts, selected or not.

        CLIP embeds what it has not seen. Boxes, points and excluded classes are ignored; excluded texts are negatives.

        Raises:
            PromptError: There is no text prompt.
            ClosedError: `close` was called.
        """
        with self._under_way.one():
            return self._settings.stage_of(result.stream).rank(result)

    def _release(self) -> None:
        self._models.close()
