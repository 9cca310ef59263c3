"""Result: what was selected in one frame."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fastsam_engine.errors import PackagesMissingError
from fastsam_trt.masks.mask_source import MaskCrop, paste
from fastsam_trt.results import rle
from fastsam_trt.results.polygons import polygons
from fastsam_trt.segmentation.segments import Segments
from fastsam_trt.selectors import Selection

if TYPE_CHECKING:
    from supervision import Detections


class Result:
    """The n selected segments of one frame, best first. Masks are decoded when first asked for, by any thread.

    It is the same for every family of models. Boxes count from edges: a pixel of column x covers x to x + 1, so a whole
    frame is 0, 0, W, H.

    Attributes:
        frame: (H, W, 3) uint8 BGR, the frame itself, not a copy.
        segments: Everything that the segmenter found.
        selection: Which of it was selected.
        prompts: The prompts that were asked.
        embedded: How many crops CLIP saw for this frame.
        frames: Stands for the frames that it follows, whose tracks it has; None where that is not known.
        speed: ms of each stage: `preprocess`, `segment`, `select`, `decode` (masks; 0 until they are decoded), `total`.
    """

    __slots__ = (
        "_class_agnostic",
        "_class_names",
        "_crops",
        "embedded",
        "frame",
        "frames",
        "prompts",
        "segments",
        "selection",
        "speed",
    )

    def __init__(
        self,
        frame: NDArray[np.uint8],
        segments: Segments,
        selection: Selection,
        *,
        class_names: Sequence[str],
        class_agnostic: bool = False,
        prompts: tuple[str, ...],
        speed: dict[str, float],
        embedded: int = 0,
        frames: object = None,
    ) -> None:
        self.frame = frame
        self.frames = frames
        self.segments = segments
        self.selection = selection
        self.prompts = prompts
        self.embedded = embedded
        self._class_names = class_names
        self._class_agnostic = class_agnostic
        self._crops: list[MaskCrop] | None = None
        self.speed = {**speed, "decode": 0.0, "total": sum(speed.values())}

    def __len__(self) -> int:
        return len(self.selection.indices)

    @property
    def boxes(self) -> NDArray[np.float32]:
        """(n, 4) float32 xyxy, px of the frame."""
        return self.segments.boxes[self.selection.indices]

    @property
    def scores(self) -> NDArray[np.float32]:
        """(n,) float32, the segmenter's confidence, 0..1."""
        return self.segments.scores[self.selection.indices]

    @property
    def class_ids(self) -> NDArray[np.int32]:
        """(n,) int32."""
        return self.segments.class_ids[self.selection.indices]

    @property
    def class_names(self) -> Sequence[str]:
        """The model's class names, by class id."""
        return self._class_names

    @property
    def labels(self) -> list[str | None]:
        """N class names; None where the model's classes say nothing (FastSAM), or it has none."""
        return [self.label_of(class_id) for class_id in self.class_ids.tolist()]

    def label_of(self, class_id: int) -> str | None:
        """The name of a class as `labels` has it."""
        return None if self._class_agnostic or not self._class_names else self._class_names[class_id]

    @property
    def prompt_ids(self) -> NDArray[np.int32]:
        """(n,) int32 into `prompts`; -1 where no text prompt chose the segment."""
        return self.selection.prompt_ids

    @property
    def similarities(self) -> NDArray[np.float32]:
        """(n,) float32, 0..1, how sure CLIP is of the prompt; NaN where CLIP was not asked."""
        return self.selection.similarities

    @property
    def track_ids(self) -> NDArray[np.int32]:
        """(n,) int32; -1 where nothing is tracked."""
        return self.segments.track_ids[self.selection.indices]

    @property
    def pending(self) -> NDArray[np.intp]:
        """(m,) into `segments`: those that are decided in a later frame, when CLIP has seen them (see `budget_ms`)."""
        return self.selection.pending

    def crops(self) -> list[MaskCrop]:
        """The n masks, each inside its box: decoded on first use, kept after it."""
        if self._crops is None:
            start = time.perf_counter()
            self._crops = self.segments.masks.decode(self.selection.indices.tolist())
            self.speed["decode"] = (time.perf_counter() - start) * 1e3
            self.speed["total"] = sum(ms for stage, ms in self.speed.items() if stage != "total")
        return self._crops

    def masks(self) -> NDArray[np.bool_]:
        """The masks on whole frames, (n, H, W) bool."""
        return paste(self.crops(), self.frame.shape[0], self.frame.shape[1])

    def cutouts(self) -> list[NDArray[np.uint8]]:
        """The segments cut out of the frame: n of (h, w, 4) uint8 BGRA inside their boxes, alpha the mask."""
        return [cut_out(self.frame, crop) for crop in self.crops()]

    def rle(self) -> list[rle.Rle]:
        """The masks as COCO RLE."""
        return [rle.encode(crop, self.frame.shape[0], self.frame.shape[1]) for crop in self.crops()]

    def polygons(self, simplify_px: float = 0.0, *, holes: bool = True) -> list[list[NDArray[np.float32]]]:
        """The masks as outlines along the edges of their pixels.

        Args:
            simplify_px: How far a vertex may lie from the outline that leaves it out, px; 0: exact.
            holes: Whether to cut out holes, each by a line there and back from its polygon's outline.

        Returns:
            For each segment its polygons, (k, 2) float32 xy with k of 3 or more, px of the frame, a pixel's centre
            being a whole number: + 0.5 makes them COCO's. A segment in parts has several, one without pixels none.
            The rest of the convention: `fastsam_trt.results.polygons`.

        Raises:
            OptionError: `simplify_px` is negative or no finite number.
        """
        return polygons(self.crops(), simplify_px, holes=holes)

    def to_supervision(self) -> Detections:
        """The segments as `supervision.Detections`.

        Returns:
            `xyxy`, `mask` (n, H, W) bool, `confidence`, `class_id`; `tracker_id` if any segment is tracked, -1 for
            those that are not; in `data`, `class_name` and `prompt`, (n,) str, empty where there is none, and
            `similarity`, (n,) float32. `class_name` has the only class of a one-class model too.

        Raises:
            PackagesMissingError: The extra `[supervision]` is not installed.
        """
        return as_detections(self)


def cut_out(frame: NDArray[np.uint8], crop: MaskCrop) -> NDArray[np.uint8]:
    """Cut a mask out of a frame.

    Args:
        frame: (H, W, 3) uint8 BGR.
        crop: The mask inside its box.

    Returns:
        (h, w, 4) uint8 BGRA, of the crop's size: alpha is 255 on the mask, all is 0 beside it.
    """
    left, top, pixels = crop
    height, width = pixels.shape
    picture = np.full((height, width, 4), 255, np.uint8)
    picture[..., :3] = frame[top : top + height, left : left + width]
    picture[~pixels] = 0
    return picture


def as_detections(result: Result) -> Detections:
    """See `Result.to_supervision`."""
    try:
        from supervision import Detections
    except ModuleNotFoundError as error:
        raise PackagesMissingError([error.name or "supervision"], "supervision") from error
    names, prompts = result.class_names, result.prompts
    track_ids = result.track_ids
    return Detections(
        xyxy=result.boxes,
        mask=result.masks(),
        confidence=result.scores,
        class_id=result.class_ids,
        tracker_id=track_ids if (track_ids >= 0).any() else None,
        data={
            "class_name": np.array([names[i] if i < len(names) else "" for i in result.class_ids.tolist()], np.str_),
            "prompt": np.array([prompts[i] if i >= 0 else "" for i in result.prompt_ids.tolist()], np.str_),
            "similarity": result.similarities,
        },
    )
