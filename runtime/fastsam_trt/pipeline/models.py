"""Models: the open models of a pipeline, and the options to open them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsam_engine.errors import ModelNotFoundError
from fastsam_trt.clip.lazy_model import LazyClip
from fastsam_trt.clip.model import Clip
from fastsam_trt.default_models import default_clip
from fastsam_trt.errors import ClipNotFoundError
from fastsam_trt.frames.image import ColourOrder
from fastsam_trt.frames.image_like import ImageLike, as_frame
from fastsam_trt.frames.rectangles import Rectangle
from fastsam_trt.frames.uploads import FrameUploads
from fastsam_trt.masks.cached import CachedMasks
from fastsam_trt.prompts.vocabulary import did_you_mean, vocabulary
from fastsam_trt.segmentation.decoder import Thresholds
from fastsam_trt.segmentation.segmenter import Segmenter
from fastsam_trt.segmentation.segments import SegmentedFrame
from fastsam_trt.sources.one_image import read_one_image
from fastsam_trt.sparse.crossing import ComputeName


@dataclass(frozen=True, slots=True)
class SegmentOptions:
    """Which segments a segmentation model returns; see `Segmenter`. None: the model's default."""

    conf: float | None = None
    iou: float | None = None
    max_segments: int | None = None
    classes: Iterable[int | str] | int | str | None = None
    components: bool = False
    agnostic_nms: bool | None = None
    imgsz: int | tuple[int, int] | None = None
    names: str | Path | Sequence[str] | None = None
    compute: ComputeName = "auto"


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Where and how models run; see `fastsam_engine.open_session`."""

    backend: str = "auto"
    device: str = "auto"
    precision: str = "auto"
    threads: int | None = None
    frames_on_device: bool | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Models:
    """The open models of a pipeline.

    Attributes:
        segmenter: The segmentation model.
        clip: The CLIP model, which is opened on first use.
        uploads: The frames that are uploaded for both models.
        max_mask_pixels: Most pixels of the decoded masks of a frame together; None: no limit.
    """

    segmenter: Segmenter
    clip: LazyClip
    uploads: FrameUploads
    max_mask_pixels: int | None = None

    @classmethod
    def open(
        cls,
        model: str | Path,
        clip: str | Path | Clip | None,
        segment_options: SegmentOptions,
        run_options: RunOptions,
        max_mask_pixels: int | None = None,
    ) -> Models:
        """Open the segmentation model, and prepare to open CLIP.

        Args:
            model: Segmentation model: short name, folder or file.
            clip: CLIP model: short name or folder; None: the default for `model`. An open one is shared.
            segment_options: Which segments the segmentation model returns.
            run_options: Where and how both run.
            max_mask_pixels: Most pixels of the decoded masks of a frame together; None: no limit.

        Raises:
            FastsamError: The segmentation model can't be opened.
        """
        given = clip if isinstance(clip, Clip) else None
        uploads = FrameUploads()
        segmenter = Segmenter(model, **_keywords(segment_options), **_keywords(run_options), uploads=uploads)
        name = default_clip(model) if clip is None or isinstance(clip, Clip) else clip

        def open_clip(prompt: str) -> Clip:
            try:
                return Clip(name, **_keywords(run_options))
            except ModelNotFoundError as error:
                near = did_you_mean(vocabulary(segmenter.class_names).near(prompt))
                raise ClipNotFoundError(prompt, segmenter.session.spec.name, str(name), near) from error

        return cls(segmenter, LazyClip(given, open_clip), uploads, max_mask_pixels)

    def segment(
        self,
        frame: ImageLike,
        thresholds: Thresholds,
        rectangle: Rectangle,
        captured_s: float | None,
        media_s: float | None,
        colours: ColourOrder | None = None,
    ) -> SegmentedFrame:
        """Find all segments of a frame.

        Args:
            frame: One image; see `Pipeline.process`.
            thresholds: Which segments to return.
            rectangle, captured_s, media_s, colours: See `Pipeline.process`.

        Raises:
            ImageFormatError, ImageTypeError, NotOneImageError, SourceNotFoundError, SourceUnreadableError: As for
                `Pipeline.process`.
        """
        media_s = captured_s if media_s is None else media_s
        captured_s = time.perf_counter() if captured_s is None else captured_s
        image = self.uploads.register(_frame_of(frame, colours))
        segments = self.segmenter.segment(image, thresholds, rectangle)
        masks = CachedMasks(segments.masks, self.max_mask_pixels)
        return SegmentedFrame(image, replace(segments, masks=masks), captured_s, media_s)

    @contextmanager
    def closed_on_error(self) -> Iterator[None]:
        """Close the models if the block fails."""
        try:
            yield
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the models, except a CLIP model that the caller opened."""
        self.segmenter.close()
        self.clip.close()


def _frame_of(image: ImageLike, colours: ColourOrder | None) -> NDArray[np.uint8]:
    if not isinstance(image, np.ndarray) and isinstance(image, str | os.PathLike):
        return read_one_image(image)
    return as_frame(image, colours)


def _keywords(options: SegmentOptions | RunOptions) -> dict[str, Any]:
    return {field.name: getattr(options, field.name) for field in fields(options)}
