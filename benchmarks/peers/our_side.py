"""Our side: the pipeline, its whole call, and its results in the common format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from answer import Answer, boxes_of
from numpy.typing import NDArray

from fastsam_engine.spec.model_input import ImageInput
from fastsam_trt import Pipeline
from fastsam_trt.clip.crops import square_windows
from fastsam_trt.clip.model import Clip
from fastsam_trt.errors import PromptError
from fastsam_trt.frames.letterbox import fit
from fastsam_trt.masks.mask_source import paste
from fastsam_trt.results.result import Result

_AS_IT_IS = ("{}",)  # peers use the prompt without templates


@dataclass(frozen=True, slots=True)
class Wanted:
    """The request for our pipeline.

    Attributes:
        model: Segmenter.
        conf, iou: Thresholds; None: the model's defaults.
        most: Most segments; None: the model's default.
        clip: CLIP model, if there is a prompt.
        prompt: The prompt; None: select everything, with all masks.
        tight_boxes: Whether boxes are those of the masks, for a model whose peers return no others.
    """

    model: str | Path
    conf: float | None = None
    iou: float | None = None
    most: int | None = None
    clip: str | Path | None = None
    prompt: str | None = None
    tight_boxes: bool = False


class OurSide:
    """The pipeline with one backend and precision.

    Attributes:
        description: Actual backend, device and precision.
    """

    def __init__(self, wanted: Wanted, backend: str, device: str, precision: str) -> None:
        """Open the pipeline.

        With a prompt every segment is embedded and ranked, as for a single picture, and the best one is decoded. The
        text was encoded once before.

        Raises:
            FastsamError: The pipeline can't be opened.
        """
        self._wanted = wanted
        has_prompt = wanted.prompt is not None
        self._pipeline = Pipeline(
            wanted.model,
            clip=wanted.clip if has_prompt else None,
            prompts=[wanted.prompt] if wanted.prompt is not None else (),
            selector="clip" if has_prompt else "auto",
            templates=_AS_IT_IS,
            threshold=0.0,
            conf=wanted.conf,
            iou=wanted.iou,
            max_segments=wanted.most,
            backend=backend,
            device=device,
            precision=precision,
        )
        session = self._pipeline.segmenter.session
        self.description = f"{session.backend} {session.device} {session.precision}"

    def input_size(self, frame: NDArray[np.uint8]) -> tuple[int, int]:
        """(height, width) of the segmenter's input for a picture, px."""
        image = cast("ImageInput", self._pipeline.segmenter.session.spec.input)
        placed = fit(frame.shape[0], frame.shape[1], image)
        return placed.input_h, placed.input_w

    def call(self, frame: NDArray[np.uint8]) -> Result:
        """The whole call: all masks at the size of the picture, or with a prompt only that of the best segment."""
        result = self._pipeline(frame, rectangle="smallest")
        if self._wanted.prompt is None:
            result.masks()
        elif (best := _best(result)) >= 0:
            paste(result.segments.masks.decode([best]), *frame.shape[:2])
        return result

    def answer(self, frame: NDArray[np.uint8]) -> Answer:
        """All segments of a picture with their masks, and the chosen one."""
        result = self.call(frame)
        segments = result.segments
        masks = paste(segments.masks.decode(range(len(segments))), *frame.shape[:2])
        boxes = boxes_of(masks) if self._wanted.tight_boxes else segments.boxes
        chosen = _best(result) if self._wanted.prompt is not None else -1
        return Answer(boxes, segments.scores, segments.class_ids, masks, chosen)

    def windows(self, frame: NDArray[np.uint8], answer: Answer) -> NDArray[np.intp]:
        """The windows that CLIP sees of the segments: (n, 4) xyxy, whole px."""
        return square_windows(answer.boxes, frame.shape[0], frame.shape[1])

    def embed(
        self, frame: NDArray[np.uint8], windows: NDArray[np.intp], texts: Sequence[str]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Our CLIP's embeddings of windows and of texts: (n, d) and (m, d), rows of length one."""
        clip: Clip | None = self._pipeline.clip
        if clip is None:
            raise PromptError("expected a prompt for CLIP, found none")
        return clip.embed_windows(frame, windows), clip.text.embed(texts, _AS_IT_IS)


def _best(result: Result) -> int:
    """Index, among all segments, of the one with the highest similarity; -1 if nothing is selected."""
    return int(result.selection.indices[int(np.argmax(result.similarities))]) if len(result) else -1
