"""Pipeline: frames and prompts in, results out."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike, NDArray

from fastsam_engine.concurrency.calls_under_way import CallsUnderWay
from fastsam_engine.concurrency.closable import Closable
from fastsam_engine.errors import ModelNotFoundError
from fastsam_trt import bundled_models
from fastsam_trt.clip.lazy_model import LazyClip
from fastsam_trt.clip.model import Clip
from fastsam_trt.errors import ClipNotFoundError, PromptError
from fastsam_trt.frames.image import as_bgr
from fastsam_trt.frames.rectangles import Rectangle
from fastsam_trt.frames.uploads import FrameUploads
from fastsam_trt.masks.cached import CachedMasks
from fastsam_trt.pipeline.answers import Answering, Answers
from fastsam_trt.pipeline.call_options import CallOptions, Classes, check_most
from fastsam_trt.pipeline.properties import Prompted
from fastsam_trt.prompts.prompt_set import (
    DEFAULT_NEGATIVES,
    DEFAULT_TEMPLATES,
    DEFAULT_THRESHOLD,
    CropName,
    Question,
    TextRules,
)
from fastsam_trt.prompts.texts import SelectorName, check_prompts
from fastsam_trt.prompts.vocabulary import did_you_mean, vocabulary
from fastsam_trt.results.result import Result
from fastsam_trt.segmentation.families import Thresholds
from fastsam_trt.segmentation.segmenter import Segmenter
from fastsam_trt.segmentation.segments import SegmentedFrame
from fastsam_trt.selectors import Ranking, best
from fastsam_trt.sources import RECONNECT_S, STALL_S, open_source
from fastsam_trt.streaming import Flow, Policy

DEFAULT_MODEL = "yolov8n-seg"
DEFAULT_CLIP = "clip-vit-base-patch32"


class Pipeline(Prompted, Closable):
    """Segments frames and selects what the prompts ask for, masks of the selected segments only.

    Text prompts, boxes and points are alternatives: a segment that answers any of them is selected, once, with the id
    of the text prompt that it answers if there is one. With none of them everything is. From that are taken the
    segments that are excluded, and, whichever prompt chose them, those that a background point lies on.

    Any thread may call any method and set any attribute. Frames are prepared, decoded and selected from side by side,
    and go through a network side by side where its session allows that (see `fastsam_engine.Session`). Where frames are
    tracked they are selected from one at a time, in the order of the calls, and `rank` takes its turn between them.
    Each `stream` has tracks of its own. What is set holds for all threads; what is given with a call, for that call.

    After `close` results stay whole, and a CLIP model that was given open stays open. Another thread that is setting
    prompts is not waited for, and fails.

    Attributes:
        segmenter: The segmentation model and its thresholds.
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
        classes: Iterable[int | str] | int | str | None = None,
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
        track: bool = False,
        budget_ms: float | None = None,
    ) -> None:
        """Open the models that the prompts need.

        Args:
            model: Segmentation model: short name, folder or file.
            clip: CLIP model: short name or folder, opened when a prompt needs it; None: `clip-vit-base-patch32`, and
                for `demo-seg` its own, `demo-clip`. An open one, such as another pipeline's `clip`, is shared.
            prompts: Texts that name what to select.
            boxes: (k, 4) xyxy, px of the frame: for each the one segment whose mask has the highest IoU with it. A box
                is cut at the frame, and must meet it.
            points: (k, 2) xy, px, inside the frame: every segment whose mask holds a foreground point.
            point_labels: (k,), 1 for a foreground and 0 for a background point; None: all foreground. With background
                points alone, everything but what they lie on is selected.
            excluded: Texts that name what not to select. One that names a class (by the rules of `selector`) takes out
                that class. Any other is one more negative for CLIP, and takes out segments that CLIP did not choose,
                such as those that a box chose, where they answer it themselves.
            selector: `labels` (prompts name classes of the model), `clip`, or `auto`: labels for a prompt that is a
                class name, its plural or a synonym of it (see `fastsam_trt.prompts.vocabulary`), CLIP for the others.
            conf: Lowest score of a segment, 0..1; None: the model's default, as for the next four.
            iou: Highest overlap of two segments of one class, 0..1.
            agnostic_nms: Whether `iou` bounds the overlap of any two segments, whatever their classes.
            max_segments: Most segments a frame, before anything is selected.
            imgsz: Longest side, or (height, width), of the model's input, px.
            max_selected: Most selected segments a frame, over all prompts together; None: all. Those that a label, box
                or point chose come first, by score; then CLIP's, by similarity.
            names: Class names to use instead of the model's, or a file of them: text with a name per line, JSON, or
                YAML with `names:`.
            classes: Ids or names of the classes to keep, names as in prompts (`["person", 2]`); None: all.
            components: Whether each connected part of a semantic model's class is a segment, or the whole class.
            negatives: Texts that a segment may be instead of a prompt (CLIP only).
            templates: Texts with `{}` where a prompt goes (CLIP only).
            threshold: Least similarity of a selected segment, 0..1 (CLIP only).
            crop: What CLIP sees of a segment: the `box` with all that is in it, or what is `masked`, the rest greyed.
            backend, device, precision, threads: See `fastsam_engine.open_session`.
            frames_on_device: Whether frames are uploaded once, and prepared, cropped for CLIP and decoded where the
                models run, by graphs that were exported with them; None: where that is a GPU and they are there.
            track: Whether frames follow one another: segments get track ids, and CLIP sees each object once and from
                time to time, not in every frame. `stream` decides that for itself.
            budget_ms: Age of a frame when its result is out that is kept by embedding crops later; None: each segment
                is decided at once. It needs `track`, and frames that come with the time of their capture.

        Raises:
            FastsamError: See `fastsam_engine.errors` and `fastsam_trt.errors`: a model, backend, prompt or option
                that can't be had.
        """
        rules = TextRules(selector, check_prompts(negatives), tuple(templates), threshold, crop)
        question = CallOptions(prompts, excluded, boxes, points, point_labels).question(Question())
        self._rules = rules
        self.max_selected = max_selected
        self._uploads = clip.uploads if isinstance(clip, Clip) else FrameUploads()
        self.segmenter = Segmenter(
            model,
            conf=conf,
            iou=iou,
            max_segments=max_segments,
            classes=classes,
            components=components,
            agnostic_nms=agnostic_nms,
            imgsz=imgsz,
            names=names,
            backend=backend,
            device=device,
            precision=precision,
            threads=threads,
            frames_on_device=frames_on_device,
            uploads=self._uploads,
        )
        usual = bundled_models.CLIP if str(model) == bundled_models.SEGMENTER else DEFAULT_CLIP
        named = usual if clip is None or isinstance(clip, Clip) else clip
        open_clip = partial(
            Clip,
            named,
            backend=backend,
            device=device,
            precision=precision,
            threads=threads,
            frames_on_device=frames_on_device,
            uploads=self._uploads,
        )
        given = clip if isinstance(clip, Clip) else None
        self._clip = LazyClip(given, lambda prompt: self._open_clip(prompt, str(named), open_clip))
        self._under_way = CallsUnderWay("the pipeline", "make another")
        answers = partial(Answers, rules, self.segmenter.class_names, self._clip)
        super().__init__(question, answers, lambda: self.segmenter.thresholds.classes, track=track, budget_ms=budget_ms)

    @property
    def clip(self) -> Clip | None:
        """The open CLIP model; None where no prompt has needed one yet."""
        return self._clip.opened

    @property
    def max_selected(self) -> int | None:
        """Most selected segments a frame; None: all. May be set between frames."""
        return self._max_selected

    @max_selected.setter
    def max_selected(self, max_selected: int | None) -> None:
        self._max_selected = check_most(max_selected)

    def __call__(
        self,
        frame: NDArray[Any],
        *,
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
    ) -> Result:
        """Segment one frame and select.

        Args:
            frame: (H, W, 3) uint8 BGR, as OpenCV reads it; grey, BGRA and 16-bit pictures are converted.
            captured_s: When it was captured, on `time.perf_counter`'s clock; a budget counts from then. None: now.
            media_s: Its place in its source's time, in seconds: over a gap in it tracks end. None: `captured_s`, where
                that is given.
            prompts: As for the pipeline, but for this call alone, as all that follow; the pipeline's own stay as they
                are. None: the pipeline's own; nothing (`[]`): none.
            boxes, points, excluded, selector, threshold, conf, iou, max_segments, max_selected, classes: The same.
            point_labels: The same; without them all points that are given are foreground.
            rectangle: Which size the input of a model that takes several shrinks to. `smallest`: the least that holds
                the frame, each of which a backend may have to compile for; `common`: one of a few, the smallest for
                16:9, 3:2, 4:3 and 5:4, so that pictures of any shape compile little. None: the smallest where frames
                are tracked, since they have one size, else a common one; `stream` takes the smallest for videos and
                live sources.

        Returns:
            The selected segments, masks not yet decoded, save those that a box or point made the selection look at;
            these are not decoded again.

        Raises:
            ImageFormatError: The array is no picture.
            PromptError: A box lies wholly outside the frame, or a point outside it, or the prompts contradict
                themselves.
            ClipNotFoundError: A prompt needs a CLIP model, and there is none.
            OptionError: A number is out of range.
            ClosedError: `close` was called.
        """
        call = CallOptions(
            prompts, excluded, boxes, points, point_labels, selector, threshold,
            conf, iou, max_segments, classes, max_selected,
        )  # fmt: skip
        with self._under_way.one():
            most = call.most(self._max_selected)
            thresholds = call.thresholds(self.segmenter.thresholds, self.segmenter.class_names)
            answers = self._own
            answering = answers.answering
            if not call.keep_the_question:
                rules = call.rules(self._rules)
                answering = answers.to(call.question(answering.question), thresholds.classes, rules)
            segmented = self._segment(frame, captured_s, media_s, thresholds, rectangle)
            return self._select(segmented, answers, answering, most)

    def segment(
        self,
        frame: NDArray[Any],
        *,
        captured_s: float | None = None,
        media_s: float | None = None,
        rectangle: Rectangle | None = None,
    ) -> SegmentedFrame:
        """The first half of a call: find everything in a frame. One thread may do it while another selects.

        Args:
            frame, captured_s, media_s, rectangle: As for a whole call.

        Raises:
            ImageFormatError: The array is no picture.
            ClosedError: `close` was called.
        """
        with self._under_way.one():
            return self._segment(frame, captured_s, media_s, self.segmenter.thresholds, rectangle)

    def select(self, segmented: SegmentedFrame, answers: Answers | None = None) -> Result:
        """The second half of a call: track the segments, and select what the prompts ask for.

        Args:
            segmented: What `segment` gave; frames in their order where they are tracked.
            answers: Of the stream that the frame belongs to; None: those of frames that are given by calls.

        Raises:
            PromptError: A box lies wholly outside the frame, or a point outside it.
            ClosedError: `close` was called.
        """
        answers = answers or self._own
        with self._under_way.one():
            return self._select(segmented, answers, answers.answering, self._max_selected)

    def rank(self, result: Result) -> Ranking:
        """Compare every segment of a result with the text prompts, selected or not.

        What CLIP is asked about is embedded for it. Boxes, points and the prompts to exclude have no part in it, save
        that the latter are negatives.

        Args:
            result: A result of this pipeline.

        Raises:
            PromptError: There is no text prompt.
            ClosedError: `close` was called.
        """
        with self._under_way.one():
            picture = self._uploads.register(result.frame)
            ranking = self._answers_of(result.stream).rank(picture, result.segments)
        if ranking is None:
            raise PromptError("expected a text prompt to rank by, found none; set prompts")
        return ranking

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
        """Yield a result for each frame of a source, in order; frames overlap on threads of their own, see `Flow`.

        Several streams may run at a time, and `prompts` set meanwhile hold for all.

        Args:
            source, vid_stride, reconnect_s, stall_s: See `fastsam_trt.sources.open_source`.
            policy: `every` frame, or the `latest` alone when one is due; `auto`: the latest of a live source.
            track: Whether frames follow one another, by tracks of this stream's own; None: those of videos and live
                sources of 8 frames a second or more do.

        Raises:
            SourceNotFoundError, SourceUnreadableError: The source can't be opened.
            SourceLostError: A live source went away and did not come back.
            TruncatedSourceError: A video ended before its header says; raised after its last readable frame.
        """
        with open_source(source, vid_stride=vid_stride, reconnect_s=reconnect_s, stall_s=stall_s) as frames:
            tracked = frames.continuous if track is None else track
            with self._streaming(tracked=tracked) as answers, Flow(frames, _Stream(self, answers), policy) as flow:
                for _, result in flow:
                    yield result

    def _release(self) -> None:
        self.segmenter.close()
        self._clip.close()

    def _segment(
        self,
        frame: NDArray[Any],
        captured_s: float | None,
        media_s: float | None,
        thresholds: Thresholds,
        rectangle: Rectangle | None,
    ) -> SegmentedFrame:
        media_s = captured_s if media_s is None else media_s
        captured_s = time.perf_counter() if captured_s is None else captured_s
        picture = self._uploads.register(as_bgr(frame))
        rectangle = rectangle or ("smallest" if self.track else "common")
        segments = self.segmenter.segment(picture, thresholds, rectangle)
        segments = replace(segments, masks=CachedMasks(segments.masks))
        return SegmentedFrame(picture, segments, captured_s, media_s)

    def _select(self, segmented: SegmentedFrame, answers: Answers, answering: Answering, most: int | None) -> Result:
        start = time.perf_counter()
        segments, selection = answers.select(segmented, answering)
        if most is not None:
            selection = best(selection, segments.scores, most)
        return Result(
            segmented.frame.view(),  # results that are kept keep no upload
            segments,
            selection,
            class_names=self.segmenter.class_names,
            class_agnostic=self.segmenter.class_agnostic,
            prompts=answering.question.prompts,
            speed={**segmented.segments.speed_ms, "select": (time.perf_counter() - start) * 1e3},
            crops_embedded=selection.crops_embedded,
            stream=answers.frames,
        )

    def _open_clip(self, prompt: str, name: str, open_clip: Callable[[], Clip]) -> Clip:
        try:
            return open_clip()
        except ModelNotFoundError as error:
            segmenter = self.segmenter
            near = did_you_mean(vocabulary(segmenter.class_names).near(prompt))
            raise ClipNotFoundError(prompt, segmenter.session.spec.name, name, near) from error


class _Stream:
    """The halves of a pipeline over the frames of one stream."""

    def __init__(self, pipeline: Pipeline, answers: Answers) -> None:
        self.segment = pipeline.segment
        self.select = partial(pipeline.select, answers=answers)
        self._answers = answers

    @property
    def reserve_ms(self) -> float:
        return self._answers.reserve_ms

    @reserve_ms.setter
    def reserve_ms(self, reserve_ms: float) -> None:
        self._answers.reserve_ms = reserve_ms
