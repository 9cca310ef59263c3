"""Pipeline: frames and prompts in, results out."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray

from fastsam_engine.errors import ModelNotFoundError
from fastsam_trt.clip import Clip
from fastsam_trt.demo import embedded
from fastsam_trt.errors import ClipNotFoundError, OptionError
from fastsam_trt.picture import as_bgr
from fastsam_trt.prompts import check_prompts, class_of, require_class
from fastsam_trt.result import Result
from fastsam_trt.segmenter import Segmenter
from fastsam_trt.selectors import EverythingSelector, Selector, TextSelector
from fastsam_trt.sources import open_source

DEFAULT_MODEL = "yolov8n-seg"
DEFAULT_CLIP = "clip-vit-base-patch32"
DEFAULT_TEMPLATES = ("a photo of a {}.", "a photo of the {}.", "{}")
DEFAULT_NEGATIVES = ("background", "an object", "something else", "a texture")
DEFAULT_THRESHOLD = 0.5

SelectorName = Literal["auto", "labels", "clip"]


class Pipeline:
    """Segments frames and selects what the prompts name, masks of the selected segments only.

    Attributes:
        segmenter: The segmentation model and its thresholds.
    """

    def __init__(
        self,
        model: str | Path = DEFAULT_MODEL,
        *,
        clip: str | Path | None = None,
        prompts: Iterable[str] = (),
        selector: SelectorName = "auto",
        conf: float | None = None,
        iou: float | None = None,
        max_segments: int | None = None,
        classes: Iterable[int] | None = None,
        imgsz: int | tuple[int, int] | None = None,
        negatives: Iterable[str] = DEFAULT_NEGATIVES,
        templates: Iterable[str] = DEFAULT_TEMPLATES,
        threshold: float = DEFAULT_THRESHOLD,
        backend: str = "auto",
        device: str = "auto",
        precision: str = "auto",
    ) -> None:
        """Open the models that the prompts need.

        Args:
            model: Segmentation model: short name, folder or file.
            clip: CLIP model: short name or folder; None: `clip-vit-base-patch32`, and for `demo-seg` its own,
                `demo-clip`. Opened when a prompt needs it.
            prompts: What to select; none: everything.
            selector: `labels` (prompts name classes of the model), `clip`, or `auto`: labels for a prompt that is a
                class name or its plain plural, CLIP for the others.
            conf: Lowest score of a segment, 0..1; None: the model's default, as for the next three.
            iou: Highest overlap of two segments of one class, 0..1.
            max_segments: Most segments a frame.
            imgsz: Longest side, or (height, width), of the model's input, px.
            classes: Class ids to keep; None: all.
            negatives: Texts that a segment may be instead of a prompt (CLIP only).
            templates: Texts with `{}` where a prompt goes (CLIP only).
            threshold: Least similarity of a selected segment, 0..1 (CLIP only).
            backend, device, precision: See `fastsam_engine.open_session`.

        Raises:
            FastsamError: See `fastsam_engine.errors` and `fastsam_trt.errors`: a model, backend, prompt or option
                that can't be had.
        """
        if selector not in ("auto", "labels", "clip"):
            raise OptionError("selector", "auto, labels or clip", selector)
        if not 0 <= threshold <= 1:
            raise OptionError("threshold", "a number from 0 to 1", threshold)
        self._backend, self._device, self._precision = backend, device, precision
        self._selector_name = selector
        self._clip_name = clip or (embedded.CLIP if str(model) == embedded.SEGMENTER else DEFAULT_CLIP)
        self._clip: Clip | None = None
        self._negatives = check_prompts(negatives)
        self._templates = tuple(templates)
        if not self._templates or not all("{}" in template for template in self._templates):
            raise OptionError("templates", "texts that hold {}", self._templates)
        self._threshold = threshold
        prompts = check_prompts(prompts)
        self.segmenter = Segmenter(
            model,
            conf=conf,
            iou=iou,
            max_segments=max_segments,
            classes=None if classes is None else tuple(classes),
            imgsz=imgsz,
            backend=backend,
            device=device,
            precision=precision,
        )
        self.prompts = prompts

    @property
    def prompts(self) -> tuple[str, ...]:
        """What is selected; none: everything. May be set between frames: nothing is exported or built again."""
        return self._prompts

    @prompts.setter
    def prompts(self, prompts: Iterable[str]) -> None:
        checked = check_prompts(prompts)
        self._selector: Selector = self._select_texts(checked) if checked else EverythingSelector()
        self._prompts = checked

    def __call__(self, frame: NDArray[Any]) -> Result:
        """Segment one frame and select.

        Args:
            frame: (H, W, 3) uint8 BGR, as OpenCV reads it; grey, BGRA and 16-bit pictures are converted.

        Returns:
            The selected segments, masks not yet decoded.

        Raises:
            ImageFormatError: The array is no picture.
        """
        picture = as_bgr(frame)
        segments = self.segmenter(picture)
        start = time.perf_counter()
        selection = self._selector.select(picture, segments)
        speed = {**self.segmenter.speed, "select": (time.perf_counter() - start) * 1e3}
        return Result(
            picture, segments, selection, class_names=self.segmenter.class_names, prompts=self._prompts, speed=speed
        )

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

    def _select_texts(self, prompts: tuple[str, ...]) -> TextSelector:
        names = self.segmenter.class_names
        labels: dict[int, int] = {}
        texts: dict[int, str] = {}
        for prompt_id, prompt in enumerate(prompts):
            if self._selector_name == "labels":
                class_id: int | None = require_class(prompt, names)
            else:
                class_id = class_of(prompt, names) if self._selector_name == "auto" else None
            if class_id is None:
                texts[prompt_id] = prompt
            else:
                labels.setdefault(class_id, prompt_id)
        if texts and self._clip is None:
            self._clip = self._open_clip(next(iter(texts.values())))
        return TextSelector(
            labels,
            texts,
            self._clip,
            negatives=self._negatives,
            templates=self._templates,
            threshold=self._threshold,
        )

    def _open_clip(self, prompt: str) -> Clip:
        try:
            return Clip(self._clip_name, backend=self._backend, device=self._device, precision=self._precision)
        except ModelNotFoundError as error:
            model = self.segmenter.session.spec.name
            raise ClipNotFoundError(prompt, model, str(self._clip_name)) from error
