"""Pipeline: frames and prompts in, results out."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastsam_engine.errors import ModelNotFoundError
from fastsam_trt.cached_masks import CachedMasks
from fastsam_trt.clip import Clip
from fastsam_trt.demo import embedded
from fastsam_trt.errors import ClipNotFoundError, OptionError, PromptError
from fastsam_trt.frame_uploads import FrameUploads
from fastsam_trt.picture import as_bgr
from fastsam_trt.places import check_boxes, check_point_labels, check_points
from fastsam_trt.prompts import Routes, SelectorName, check_apart, check_prompts, route
from fastsam_trt.result import Result
from fastsam_trt.segmenter import Segmenter
from fastsam_trt.selectors import BoxSelector, CombinedSelector, PointSelector, Ranking, Selector, TextSelector
from fastsam_trt.sources import open_source

DEFAULT_MODEL = "yolov8n-seg"
DEFAULT_CLIP = "clip-vit-base-patch32"
DEFAULT_TEMPLATES = ("a photo of a {}.", "a photo of the {}.", "{}")
DEFAULT_NEGATIVES = ("background", "an object", "something else", "a texture")
DEFAULT_THRESHOLD = 0.5

CropName: TypeAlias = Literal["box", "masked"]


class Pipeline:
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
        classes: Iterable[int] | None = None,
        components: bool = False,
        imgsz: int | tuple[int, int] | None = None,
        negatives: Iterable[str] = DEFAULT_NEGATIVES,
        templates: Iterable[str] = DEFAULT_TEMPLATES,
        threshold: float = DEFAULT_THRESHOLD,
        crop: CropName = "box",
        backend: str = "auto",
        device: str = "auto",
        precision: str = "auto",
        frames_on_device: bool | None = None,
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
                class name or its plain plural, CLIP for the others.
            conf: Lowest score of a segment, 0..1; None: the model's default, as for the next three.
            iou: Highest overlap of two segments of one class, 0..1.
            max_segments: Most segments a frame.
            imgsz: Longest side, or (height, width), of the model's input, px.
            classes: Class ids to keep; None: all.
            components: Whether each connected part of a semantic model's class is a segment, or the whole class.
            negatives: Texts that a segment may be instead of a prompt (CLIP only).
            templates: Texts with `{}` where a prompt goes (CLIP only).
            threshold: Least similarity of a selected segment, 0..1 (CLIP only).
            crop: What CLIP sees of a segment: the `box` with all that is in it, or what is `masked`, the rest greyed.
            backend, device, precision: See `fastsam_engine.open_session`.
            frames_on_device: Whether frames are uploaded once, and prepared, cropped for CLIP and decoded where the
                models run, by graphs that were exported with them; None: where that is a GPU and they are there.

        Raises:
            FastsamError: See `fastsam_engine.errors` and `fastsam_trt.errors`: a model, backend, prompt or option
                that can't be had.
        """
        if selector not in ("auto", "labels", "clip"):
            raise OptionError("selector", "auto, labels or clip", selector)
        if not 0 <= threshold <= 1:
            raise OptionError("threshold", "a number from 0 to 1", threshold)
        self._backend, self._device, self._precision = backend, device, precision
        self._frames_on_device = frames_on_device
        self._selector_name = selector
        self._clip = clip if isinstance(clip, Clip) else None
        named = None if isinstance(clip, Clip) else clip
        self._clip_name = named or (embedded.CLIP if str(model) == embedded.SEGMENTER else DEFAULT_CLIP)
        if crop not in ("box", "masked"):
            raise OptionError("crop", "box or masked", crop)
        self._masked = crop == "masked"
        self._negatives = check_prompts(negatives)
        self._templates = tuple(templates)
        if not self._templates or not all("{}" in template for template in self._templates):
            raise OptionError("templates", "texts that hold {}", self._templates)
        self._threshold = threshold
        prompts, excluded, boxes = check_prompts(prompts), check_prompts(excluded), check_boxes(boxes)
        points = check_points(points)
        check_point_labels(point_labels, len(points))
        self._uploads = FrameUploads() if self._clip is None else self._clip.uploads
        self.segmenter = Segmenter(
            model,
            conf=conf,
            iou=iou,
            max_segments=max_segments,
            classes=None if classes is None else tuple(classes),
            components=components,
            imgsz=imgsz,
            backend=backend,
            device=device,
            precision=precision,
            frames_on_device=frames_on_device,
            uploads=self._uploads,
        )
        self._boxes = boxes
        self._set_texts(prompts, excluded)
        self.set_points(points, point_labels)

    @property
    def clip(self) -> Clip | None:
        """The open CLIP model; None where no prompt has needed one yet."""
        return self._clip

    @property
    def prompts(self) -> tuple[str, ...]:
        """Texts that are selected. May be set between frames, as `excluded`, `boxes` and points: nothing is rebuilt."""
        return self._prompts

    @prompts.setter
    def prompts(self, prompts: Iterable[str]) -> None:
        self._set_texts(check_prompts(prompts), self._excluded)
        self._combine()

    @property
    def excluded(self) -> tuple[str, ...]:
        """Texts that are not selected."""
        return self._excluded

    @excluded.setter
    def excluded(self, excluded: Iterable[str]) -> None:
        self._set_texts(self._prompts, check_prompts(excluded))
        self._combine()

    @property
    def boxes(self) -> NDArray[np.float64]:
        """(k, 4) xyxy, px of the frame, read-only: the box prompts."""
        return self._boxes

    @boxes.setter
    def boxes(self, boxes: ArrayLike | None) -> None:
        self._boxes = check_boxes(boxes)
        self._combine()

    @property
    def points(self) -> NDArray[np.float64]:
        """(k, 2) xy, px of the frame, read-only: the point prompts.

        Setting them keeps the labels that were given, so there must be as many as before; `set_points` sets both. No
        points: no labels either.
        """
        return self._points

    @points.setter
    def points(self, points: ArrayLike | None) -> None:
        checked = check_points(points)
        self.set_points(checked, self._point_labels if self._labelled and len(checked) else None)

    @property
    def point_labels(self) -> NDArray[np.int32]:
        """(k,) read-only: 1 for each foreground, 0 for each background point. Setting None makes all foreground."""
        return self._point_labels

    @point_labels.setter
    def point_labels(self, labels: ArrayLike | None) -> None:
        self.set_points(self._points, labels)

    def set_points(self, points: ArrayLike | None, labels: ArrayLike | None = None) -> None:
        """Set `points` and `point_labels` together.

        Raises:
            PromptError: As for either; nothing has changed then.
        """
        checked = check_points(points)
        self._point_labels = check_point_labels(labels, len(checked))
        self._points = checked
        self._labelled = labels is not None
        self._combine()

    def __call__(self, frame: NDArray[Any]) -> Result:
        """Segment one frame and select.

        Args:
            frame: (H, W, 3) uint8 BGR, as OpenCV reads it; grey, BGRA and 16-bit pictures are converted.

        Returns:
            The selected segments, masks not yet decoded, save those that a box or point made the selection look at;
            these are not decoded again.

        Raises:
            ImageFormatError: The array is no picture.
            PromptError: A box lies wholly outside the frame, or a point outside it.
        """
        picture = as_bgr(frame)
        self._uploads.begin(picture)
        segments = self.segmenter(picture)
        segments = replace(segments, masks=CachedMasks(segments.masks))
        start = time.perf_counter()
        selection = self._selector.select(picture, segments)
        speed = {**self.segmenter.speed, "select": (time.perf_counter() - start) * 1e3}
        return Result(
            picture, segments, selection, class_names=self.segmenter.class_names, prompts=self._prompts, speed=speed
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
        if self._text_selector is None:
            raise PromptError("expected a text prompt to rank by, found none; set prompts")
        return self._text_selector.rank(result.frame, result.segments)

    def stream(self, source: str | int | Path, *, vid_stride: int = 1) -> Iterator[Result]:
        """Yield a result for each frame of a source, in order.

        Args:
            source: See `fastsam_trt.sources.open_source`.
            vid_stride: Take every n-th frame of a video.

        Raises:
            SourceNotFoundError, SourceUnreadableError: The source can't be opened.
            TruncatedSourceError: A video ended before its header says; raised after its last readable frame.
        """
        with open_source(source, vid_stride=vid_stride) as frames:
            for frame in frames:
                yield self(frame.picture)

    def _set_texts(self, prompts: tuple[str, ...], excluded: tuple[str, ...]) -> None:
        names = self.segmenter.class_names
        asked, barred = (route(texts, names, self._selector_name) for texts in (prompts, excluded))
        check_apart(asked, barred, names)
        against = tuple(barred.texts.values())
        texts = (*asked.texts.values(), *against)
        if texts and self._clip is None:
            self._clip = self._open_clip(texts[0])
        # What a class label says of a segment argues for it where CLIP is asked whether the segment is excluded.
        known = tuple(prompts[prompt_id] for prompt_id in asked.labels.values())
        selector = self._select_texts(asked, against) if prompts else None
        self._unlike = self._select_texts(Routes({}, barred.texts), known) if against else None
        self._text_selector = selector  # nothing has changed where a text was refused
        self._excluded_classes = tuple(barred.labels)
        self._prompts, self._excluded = prompts, excluded

    def _select_texts(self, routes: Routes, negatives: Sequence[str]) -> TextSelector:
        return TextSelector(
            routes.labels,
            routes.texts,
            self._clip,
            negatives=tuple(dict.fromkeys((*self._negatives, *negatives))),
            templates=self._templates,
            threshold=self._threshold,
            masked=self._masked,
        )

    def _combine(self) -> None:
        foreground, background = (self._points[self._point_labels == label] for label in (1, 0))
        wanted: list[Selector] = [] if self._text_selector is None else [self._text_selector]
        if len(self._boxes):
            wanted.append(BoxSelector(self._boxes))
        if len(foreground):
            wanted.append(PointSelector(foreground))
        self._selector = CombinedSelector(
            wanted,
            excluded_classes=self._excluded_classes,
            unlike=self._unlike,
            unwanted=PointSelector(background) if len(background) else None,
        )

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
            model = self.segmenter.session.spec.name
            raise ClipNotFoundError(prompt, model, str(self._clip_name)) from error
        clip.uploads = self._uploads
        return clip
