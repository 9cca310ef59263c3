"""Pipeline: frames and prompts in, results out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Unpack, cast, overload

from numpy.typing import ArrayLike

from fastsam_engine.concurrency.calls_under_way import CallsUnderWay
from fastsam_trt.clip.model import Clip
from fastsam_trt.default_models import DEFAULT_MODEL
from fastsam_trt.frames.image import ColourOrder
from fastsam_trt.frames.image_like import ImageLike
from fastsam_trt.frames.rectangles import Rectangle
from fastsam_trt.pipeline.call_options import CallKeywords, CallOptions, Classes, check_max_selected
from fastsam_trt.pipeline.image_list import check_no_times, is_several, result_of_each
from fastsam_trt.pipeline.live_settings import LiveSettings, check_budget
from fastsam_trt.pipeline.models import Models, RunOptions, SegmentOptions
from fastsam_trt.pipeline.selection_stage import StreamSteps
from fastsam_trt.pipeline.steps import PipelineSteps
from fastsam_trt.pipeline.warm_up import DEFAULT_SIZE, check_size, warm_up
from fastsam_trt.prompts.prompt_set import PromptSet
from fastsam_trt.prompts.text_options import (
    DEFAULT_NEGATIVES,
    DEFAULT_TEMPLATES,
    DEFAULT_THRESHOLD,
    CropName,
    TextOptions,
)
from fastsam_trt.prompts.texts import SelectorName, check_prompts
from fastsam_trt.results.result import Result
from fastsam_trt.sources import RECONNECT_S, STALL_S, open_source
from fastsam_trt.sparse.crossing import ComputeName
from fastsam_trt.streaming import Flow, Policy


class Pipeline(PipelineSteps):
    """Segments frames and selects what the prompts name; only masks of selected segments are decoded.

    Text prompts, boxes and points are alternatives: a segment that matches any of them is selected, once. Without any
    of them everything is selected. Exclusions and background points then remove segments (see `PromptSet`).

    Any thread may call any method and set any attribute. Attributes apply to all threads, the options of a call only to
    that call. Frames are processed in parallel as far as the sessions allow (see `fastsam_engine.Session`). Tracked
    frames are selected from one at a time, in the order of the calls. Each `stream` has separate tracks.

    After `close`, results stay valid and a CLIP model that was passed in stays open. `close` does not wait for a thread
    that is setting prompts; that thread gets an error.

    Attributes:
        segmenter: The segmentation model and its thresholds.
        prompts, excluded, boxes, points, point_labels: What is selected. These and the next may be set between frames.
            Arrays are read-only. Setting `points` keeps labels that were set; `set_points` sets both, `set_regions`
            boxes too.
        threshold: Lowest similarity of a segment that CLIP selects, 0..1.
        max_selected, track, budget_ms: As for `__init__`. Setting `track` drops all tracks and their embeddings.
        reserve_ms: Part of the budget that drawing, encoding and other later stages need; `Flow` measures it.
    """

    def __init__(
        self,
        model: str | Path = DEFAULT_MODEL,
        *,
        clip: str | Path | Clip | None = None,
        prompts: Iterable[str] = (),
        boxes: ArrayLike | None = None,
        points: ArrayLike | None = None,
        point_labels: ArrayLike | None = None,
        excluded: Iterable[str] = (),
        selector: SelectorName = "auto",
        conf: float | None = None,
        iou: float | None = None,
        max_segments: int | None = None,
        max_selected: int | None = None,
        classes: Classes | None = None,
        components: bool = False,
        agnostic_nms: bool | None = None,
        imgsz: int | tuple[int, int] | None = None,
        names: str | Path | Sequence[str] | None = None,
        negatives: Iterable[str] = DEFAULT_NEGATIVES,
        templates: Iterable[str] = DEFAULT_TEMPLATES,
        threshold: float = DEFAULT_THRESHOLD,
        crop: CropName = "box",
        backend: str = "auto",
        device: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
        frames_on_device: bool | None = None,
        compute: ComputeName = "auto",
        track: bool = False,
        budget_ms: float | None = None,
        max_mask_pixels: int | None = None,
    ) -> None:
        """Open the segmentation model, and CLIP if a prompt needs it.

        Args:
            model: Segmentation model: short name, folder or file.
            clip: CLIP model: short name, folder, or an open one to share. None: `clip-vit-base-patch32`, or `demo-clip`
                with `demo-seg`.
            prompts, excluded: Texts that name what to select, and what not to select.
            boxes: (k, 4) xyxy, px of the frame. Each selects the segment whose mask has the highest IoU with it.
            points: (k, 2) xy, px of the frame. Foreground points select the segments that they lie on.
            point_labels: (k,), 1 for a foreground and 0 for a background point; None: all foreground.
            selector: Match text prompts by `labels` (class names), by `clip`, or `auto`: by labels where possible.
            conf, iou: Lowest score, and highest overlap in a class, 0..1. None: the model's, as for the next two.
            max_segments: Most segments per frame, before selection.
            agnostic_nms: Whether `iou` applies to segments of different classes, too.
            max_selected: Most selected segments per frame, over all prompts; None: all. See `Selection.best`.
            classes: Ids or names of the classes to segment, names as in prompts (`["person", 2]`); None: all.
            components: Whether every connected part of a semantic class is a separate segment.
            imgsz: Longest side, or (height, width), of the model's input, px; None: the model's default.
            names: Class names to use instead of the model's, or a file of them (see `read_class_names`).
            negatives, templates, threshold, crop: How CLIP matches text prompts; see `TextOptions`.
            backend, device, precision, threads: How models run; see `fastsam_engine.open_session`.
            frames_on_device: Whether frames are uploaded once and processed on the device by exported helper graphs;
                None: if the device is a GPU and the graphs exist.
            compute: Only what can be selected (`sparse`), everything (`dense`), or what is less work (`auto`).
            track: Whether successive calls pass the frames of one stream. Segments get track ids, and CLIP sees every
                object once and then from time to time. `stream` decides this itself.
            budget_ms: Age that a frame may have when its result is out; CLIP embeds what does not fit in later frames.
                It needs `track` and frames with a capture time. None: no limit.
            max_mask_pixels: Most pixels of all decoded masks of a frame, for services; None: no limit.

        Raises:
            FastsamError: A model, backend, prompt or option is missing or invalid; see `fastsam_trt.errors`.
        """
        check_max_selected(max_selected)
        check_budget(budget_ms)
        options = TextOptions(selector, check_prompts(negatives), tuple(templates), threshold, crop)
        prompt_set = PromptSet().with_changes(prompts=prompts, excluded=excluded, boxes=boxes, points=points,
                                              point_labels=point_labels)  # fmt: skip
        segmenting = SegmentOptions(conf, iou, max_segments, classes, components, agnostic_nms, imgsz, names, compute)
        run_options = RunOptions(backend, device, precision, threads, frames_on_device)
        models = Models.open(model, clip, segmenting, run_options, max_mask_pixels)
        self._models, self.segmenter = models, models.segmenter
        self._under_way = CallsUnderWay("the pipeline", "make another")
        with models.closed_on_error():
            self._settings = LiveSettings(models, options, prompt_set, max_selected, track=track, budget_ms=budget_ms)

    @overload  # a text is also a sequence of texts; as an argument it is a path
    def process(  # type: ignore[overload-overlap]
        self, frame: ImageLike, **options: Unpack[CallKeywords]
    ) -> Result: ...

    @overload
    def process(self, frame: Sequence[ImageLike], **options: Unpack[CallKeywords]) -> list[Result]: ...

    def process(
        self,
        frame: ImageLike | Sequence[ImageLike],
        *,
        colours: ColourOrder | None = None,
        captured_s: float | None = None,
        media_s: float | None = None,
        prompts: Iterable[str] | None = None,
        boxes: ArrayLike | None = None,
        points: ArrayLike | None = None,
        point_labels: ArrayLike | None = None,
        excluded: Iterable[str] | None = None,
        selector: SelectorName | None = None,
        threshold: float | None = None,
        conf: float | None = None,
        iou: float | None = None,
        max_segments: int | None = None,
        max_selected: int | None = None,
        classes: Classes | None = None,
        rectangle: Rectangle | None = None,
    ) -> Result | list[Result]:
        """Segment one image, or each image of a list, and select. `pipeline(image)` is short for it.

        Args:
            frame: An image: the path or HTTP address of one; a NumPy array, (H, W, 3) uint8 BGR as OpenCV reads it, or
                another of `as_bgr`; a PIL image; a tensor on the host, see `as_frame`. Or a sequence of any of these.
            colours: Order of the colours of arrays and tensors. None: arrays are BGR, tensors RGB.
            captured_s: Capture time on `time.perf_counter`'s clock; a budget counts from it. None: now.
            media_s: Position in the source, s; tracks end where it jumps. None: `captured_s`, if that is given.
            prompts, boxes, points, excluded, selector, threshold, conf, iou, max_segments, max_selected, classes: As
                for the pipeline, for this call only. None: the pipeline's; `[]`: none.
            point_labels: The same; without it all points of the call are foreground.
            rectangle: Input size, if the model takes several: the `smallest` that fits the frame (a backend may compile
                for every new size), or one of a few `common` ones. None: `smallest` with `track`, else `common`.

        Returns:
            The selected segments, for a sequence a list of results in its order. Masks are decoded on first use, except
            those that were compared with a box or point.

        Raises:
            ImageFormatError, ImageTypeError: The image is of no kind that is supported.
            NotOneImageError: A path or address is not that of one image; `stream` takes all others.
            SourceNotFoundError, SourceUnreadableError: There is no such file, or it can't be read.
            PromptError: A box or point lies outside the frame, or prompts contradict each other.
            ClipNotFoundError: A prompt needs a CLIP model, and there is none.
            OptionError: An option is out of range.
            ClosedError: `close` was called.
        """
        call = CallOptions(prompts, excluded, boxes, points, point_labels, selector, threshold, conf, iou,
                           max_segments, classes, max_selected, rectangle)  # fmt: skip
        if is_several(frame):
            check_no_times(captured_s, media_s)
            return result_of_each(frame, lambda image: self._process_one(image, call, colours))
        return self._process_one(cast("ImageLike", frame), call, colours, captured_s, media_s)

    __call__ = process

    def warmup(self, *sizes: Sequence[int], rectangle: Rectangle | None = None) -> None:
        """Compile, load and allocate now what the first call would otherwise wait for.

        It runs every part of the model on frames of these sizes: the network, boxes and masks, and CLIP if a current
        prompt needs it. What it finds is dropped, and tracks do not change.

        Args:
            sizes: (H, W) or (H, W, C), px, of the frames to come. None given: 720 x 1280.
            rectangle: As for `process`; give it here if you give it there.

        Raises:
            OptionError: A size is invalid.
            ClosedError: `close` was called.
        """
        shapes = [check_size(size) for size in sizes] or [DEFAULT_SIZE]
        with self._under_way.one():
            for shape in shapes:
                warm_up(self._models, shape, rectangle or self._settings.rectangle)

    def stream(
        self,
        source: str | int | os.PathLike[str],
        *,
        vid_stride: int = 1,
        policy: Policy = "auto",
        track: bool | None = None,
        reconnect_s: float = RECONNECT_S,
        stall_s: float = STALL_S,
    ) -> Iterator[Result]:
        """Yield a result per frame of a source, in order; frames overlap on several threads, see `Flow`.

        Args:
            source, vid_stride, reconnect_s, stall_s: See `fastsam_trt.sources.open_source`.
            policy: `every` frame, or only the `latest`; `auto`: `latest` for a live source, `every` for files.
            track: Whether to track; None: videos, and live sources of 8 frames per second or more.

        Raises:
            SourceNotFoundError, SourceUnreadableError: The source can't be opened.
            SourceLostError, TruncatedSourceError: It was lost for good, or ended too early.
        """
        with open_source(source, vid_stride=vid_stride, reconnect_s=reconnect_s, stall_s=stall_s) as frames:
            tracked = frames.continuous if track is None else track
            with self._settings.stream(tracked=tracked) as stage:
                steps = StreamSteps(self.segment, partial(self.select, stage=stage), stage)
                with Flow(frames, steps, policy) as flow:
                    for _, result in flow:
                        yield result

    def __repr__(self) -> str:
        if not hasattr(self, "_settings"):
            return "<Pipeline that failed to open>"
        session = self.segmenter.session
        clip = "" if self.clip is None else f"; clip {self.clip.name}"
        return (
            f"<Pipeline {session.spec.name} on {session.backend}, {session.device}, {session.precision}{clip}; "
            f"selects {self._settings.prompt_set}{'; closed' if self.closed else ''}>"
        )

    def _process_one(
        self,
        frame: ImageLike,
        call: CallOptions,
        colours: ColourOrder | None,
        captured_s: float | None = None,
        media_s: float | None = None,
    ) -> Result:
        with self._under_way.one():
            most = call.most(self.max_selected)
            thresholds = call.thresholds(self.segmenter.thresholds, self.segmenter.class_names)
            stage = self._settings.stage
            selectors = stage.selectors_for(call, thresholds.classes)
            if not stage.tracked:  # tracks follow all segments
                thresholds = replace(thresholds, selectable=selectors.selectable)
            rectangle = call.rectangle or self._settings.rectangle
            segmented = self._models.segment(frame, thresholds, rectangle, captured_s, media_s, colours)
            return stage.select(segmented, selectors, most)
