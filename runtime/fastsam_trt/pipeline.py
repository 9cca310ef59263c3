"""Pipeline: frames and prompts in, results out."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike, NDArray

from fastsam_engine.errors import ModelNotFoundError
from fastsam_trt.cached_masks import CachedMasks
from fastsam_trt.clip import Clip
from fastsam_trt.demo import embedded
from fastsam_trt.errors import ClipNotFoundError, OptionError, PromptError
from fastsam_trt.flow import Flow, Policy
from fastsam_trt.frame_uploads import FrameUploads
from fastsam_trt.picture import as_bgr
from fastsam_trt.places import check_boxes, check_point_labels, check_points
from fastsam_trt.prompted import Prompted
from fastsam_trt.prompts import SelectorName, check_prompts
from fastsam_trt.question import (
    DEFAULT_NEGATIVES,
    DEFAULT_TEMPLATES,
    DEFAULT_THRESHOLD,
    Answering,
    CropName,
    Question,
    TextRules,
)
from fastsam_trt.rectangles import Rectangle
from fastsam_trt.result import Result
from fastsam_trt.segmented import Segmented
from fastsam_trt.segmenter import Segmenter
from fastsam_trt.selectors import Embedder, EveryCrop, Ranking, best
from fastsam_trt.sources import RECONNECT_S, STALL_S, open_source
from fastsam_trt.tracks import TrackEmbeddings, Tracker
from fastsam_trt.vocabulary import did_you_mean, vocabulary

DEFAULT_MODEL = "yolov8n-seg"
DEFAULT_CLIP = "clip-vit-base-patch32"

_WARM_SHAPE = (720, 1280, 3)  # a usual frame: the time of a crop hardly depends on it


class Pipeline(Prompted):
    """Segments frames and selects what the prompts ask for, masks of the selected segments only.

    Text prompts, boxes and points are alternatives: a segment that answers any of them is selected, once, with the id
    of the text prompt that it answers if there is one. With none of them everything is. From that are taken the
    segments that are excluded, and, whichever prompt chose them, those that a background point lies on.

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
                class name, its plural or a synonym of it (see `fastsam_trt.vocabulary`), CLIP for the others.
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
            backend, device, precision: See `fastsam_engine.open_session`.
            frames_on_device: Whether frames are uploaded once, and prepared, cropped for CLIP and decoded where the
                models run, by graphs that were exported with them; None: where that is a GPU and they are there.
            track: Whether frames follow one another: segments get track ids, and CLIP sees each object once and from
                time to time, not in every frame. `stream` switches it on for videos and live sources.
            budget_ms: Age of a frame when its result is out that is kept by embedding crops later; None: each segment
                is decided at once. It needs `track`, and frames that come with the time of their capture.

        Raises:
            FastsamError: See `fastsam_engine.errors` and `fastsam_trt.errors`: a model, backend, prompt or option
                that can't be had.
        """
        self._rules = TextRules(selector, check_prompts(negatives), tuple(templates), threshold, crop)
        self._backend, self._device, self._precision = backend, device, precision
        self._frames_on_device = frames_on_device
        self._clip = clip if isinstance(clip, Clip) else None
        named = None if isinstance(clip, Clip) else clip
        self._clip_name = named or (embedded.CLIP if str(model) == embedded.SEGMENTER else DEFAULT_CLIP)
        checked = check_points(points)
        question = Question(
            check_prompts(prompts),
            check_prompts(excluded),
            check_boxes(boxes),
            checked,
            check_point_labels(point_labels, len(checked)),
            point_labels is not None,
        )
        self._uploads = FrameUploads() if self._clip is None else self._clip.uploads
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
            frames_on_device=frames_on_device,
            uploads=self._uploads,
        )
        self.max_selected = max_selected
        self._changing, self._selecting = threading.RLock(), threading.Lock()
        self._tracker = Tracker() if track else None
        self._embedder: Embedder | None = None
        self._budget_ms: float | None = None
        self._reserve_ms = 0.0
        self.budget_ms = budget_ms
        self._answer(question)

    @property
    def clip(self) -> Clip | None:
        """The open CLIP model; None where no prompt has needed one yet."""
        return self._clip

    @property
    def track(self) -> bool:
        """Whether frames follow one another. Setting it begins anew: no track or embedding of before is used."""
        return self._tracker is not None

    @track.setter
    def track(self, track: bool) -> None:
        with self._changing:
            self._tracker = Tracker() if track else None
            self._embedder = None
            self._answer(self.question)

    @property
    def max_selected(self) -> int | None:
        """Most selected segments a frame; None: all. May be set between frames."""
        return self._max_selected

    @max_selected.setter
    def max_selected(self, max_selected: int | None) -> None:
        if max_selected is not None and (not isinstance(max_selected, int) or max_selected < 1):
            raise OptionError("max_selected", "a whole number of 1 or more", max_selected)
        self._max_selected = max_selected

    @property
    def budget_ms(self) -> float | None:
        """Age of a frame when its result is out, which is kept by embedding crops later; None: they are never late."""
        return self._budget_ms

    @budget_ms.setter
    def budget_ms(self, budget_ms: float | None) -> None:
        if budget_ms is not None and not 0 < budget_ms < math.inf:
            raise OptionError("budget_ms", "a number of ms above 0", budget_ms)
        self._budget_ms = budget_ms
        self._tell_embedder()

    @property
    def reserve_ms(self) -> float:
        """What of the budget is left to what comes after selecting: masks, drawing, encoding. `Flow` measures it."""
        return self._reserve_ms

    @reserve_ms.setter
    def reserve_ms(self, reserve_ms: float) -> None:
        self._reserve_ms = reserve_ms
        self._tell_embedder()

    def __call__(
        self,
        frame: NDArray[Any],
        *,
        captured_s: float | None = None,
        media_s: float | None = None,
        rectangle: Rectangle | None = None,
    ) -> Result:
        """Segment one frame and select.

        Args:
            frame: (H, W, 3) uint8 BGR, as OpenCV reads it; grey, BGRA and 16-bit pictures are converted.
            captured_s: When it was captured, on `time.perf_counter`'s clock; a budget counts from then. None: now.
            media_s: Its place in its source's time, in seconds: over a gap in it tracks end. None: `captured_s`, where
                that is given.
            rectangle: Which size the input of a model that takes several shrinks to. `smallest`: the least that holds
                the frame, each of which a backend may have to compile for; `common`: one of a few, the smallest for
                4:3, 5:4 and 16:9, so that pictures of any shape compile little. None: the smallest where frames are
                tracked, since they have one size, else a common one; `stream` takes the smallest for videos and live
                sources.

        Returns:
            The selected segments, masks not yet decoded, save those that a box or point made the selection look at;
            these are not decoded again.

        Raises:
            ImageFormatError: The array is no picture.
            PromptError: A box lies wholly outside the frame, or a point outside it.
        """
        return self.select(self.segment(frame, captured_s=captured_s, media_s=media_s, rectangle=rectangle))

    def segment(
        self,
        frame: NDArray[Any],
        *,
        captured_s: float | None = None,
        media_s: float | None = None,
        rectangle: Rectangle | None = None,
    ) -> Segmented:
        """The first half of a call: find everything in a frame. One thread may do it while another selects.

        Args:
            frame, captured_s, media_s, rectangle: As for a whole call.

        Raises:
            ImageFormatError: The array is no picture.
        """
        media_s = captured_s if media_s is None else media_s
        captured_s = time.perf_counter() if captured_s is None else captured_s
        picture = as_bgr(frame)
        self._uploads.begin(picture)
        segments = self.segmenter(picture, rectangle or ("smallest" if self.track else "common"))
        segments = replace(segments, masks=CachedMasks(segments.masks))
        return Segmented(picture, segments, dict(self.segmenter.speed), captured_s, media_s)

    def select(self, segmented: Segmented) -> Result:
        """The second half of a call: track the segments, and select what the prompts ask for.

        Args:
            segmented: What `segment` gave; frames in their order where they are tracked.

        Raises:
            PromptError: A box lies wholly outside the frame, or a point outside it.
        """
        start = time.perf_counter()
        with self._selecting:
            answering, segments = self._answering, segmented.segments
            if answering.tracker is not None:
                ids = answering.tracker.update(segments, segmented.picture, segmented.media_s)
                segments = replace(segments, track_ids=ids)
            if answering.embedder is not None:
                answering.embedder.begin(segments, segmented.captured_s)
            selection = answering.selector.select(segmented.picture, segments)
            if (most := self._max_selected) is not None:
                selection = best(selection, segments.scores, most)
            embedded = 0 if answering.embedder is None else answering.embedder.embedded
        return Result(
            segmented.picture,
            segments,
            selection,
            class_names=self.segmenter.class_names,
            class_agnostic=self.segmenter.class_agnostic,
            prompts=answering.question.prompts,
            speed={**segmented.speed, "select": (time.perf_counter() - start) * 1e3},
            embedded=embedded,
        )

    def rank(self, result: Result) -> Ranking:
        """Hold every segment of a result against the text prompts, selected or not.

        What CLIP is asked about is embedded for it. Boxes, points and the prompts to exclude have no part in it, save
        that the latter are negatives.

        Args:
            result: A result of this pipeline.

        Raises:
            PromptError: There is no text prompt.
        """
        ranker = self._answering.ranker
        if ranker is None:
            raise PromptError("expected a text prompt to rank by, found none; set prompts")
        return ranker.rank(result.frame, result.segments)

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

        Args:
            source, vid_stride, reconnect_s, stall_s: See `fastsam_trt.sources.open_source`.
            policy: `every` frame, or the `latest` alone when one is due; `auto`: the latest of a live source.
            track: Sets `track`; None: for videos and live sources of 8 frames a second or more.

        Raises:
            SourceNotFoundError, SourceUnreadableError: The source can't be opened.
            SourceLostError: A live source went away and did not come back.
            TruncatedSourceError: A video ended before its header says; raised after its last readable frame.
        """
        with open_source(source, vid_stride=vid_stride, reconnect_s=reconnect_s, stall_s=stall_s) as frames:
            self.track = frames.continuous if track is None else track
            with Flow(frames, self, policy) as flow:
                for _, result in flow:
                    yield result

    @property
    def question(self) -> Question:
        return self._answering.question

    def _ask(self, **changes: Any) -> None:
        with self._changing:
            self._answer(replace(self.question, **changes))

    def _answer(self, question: Question) -> None:
        segmenter = self.segmenter
        ranker, selector = question.selectors(
            self._rules, segmenter.class_names, self._clip_for, segmenter.thresholds.classes
        )
        self._answering = Answering(question, selector, ranker, self._tracker, self._embedder)

    def _clip_for(self, prompt: str) -> tuple[Clip, Embedder]:
        if self._clip is None:
            self._clip = self._open_clip(prompt)
        if self._embedder is None:
            masked = self._rules.crop == "masked"
            tracked = self._tracker is not None
            self._embedder = (TrackEmbeddings if tracked else EveryCrop)(self._clip, masked=masked)
            self._tell_embedder()
        return self._clip, self._embedder

    def _tell_embedder(self) -> None:
        embedder = self._embedder
        if isinstance(embedder, TrackEmbeddings):
            if self._budget_ms is not None and embedder.budget_ms is None:
                embedder.warm(_WARM_SHAPE)  # before frames come: what a crop takes should be known, not tried
            embedder.budget_ms, embedder.reserve_ms = self._budget_ms, self._reserve_ms

    def _open_clip(self, prompt: str) -> Clip:
        try:
            clip = Clip(
                self._clip_name,
                backend=self._backend,
                device=self._device,
                precision=self._precision,
                frames_on_device=self._frames_on_device,
            )
        except ModelNotFoundError as error:
            model, near = self.segmenter.session.spec.name, vocabulary(self.segmenter.class_names).near(prompt)
            raise ClipNotFoundError(prompt, model, str(self._clip_name), did_you_mean(near)) from error
        clip.uploads = self._uploads
        return clip
