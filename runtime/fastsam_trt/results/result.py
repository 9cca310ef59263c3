"""Result: the segments that were selected in one frame."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fastsam_engine.errors import PackagesMissingError
from fastsam_engine.import_names import warn_renamed
from fastsam_trt.masks.cached import CachedMasks
from fastsam_trt.masks.mask_source import MaskCrop, paste
from fastsam_trt.results import rle
from fastsam_trt.results.plot_methods import Plots
from fastsam_trt.results.polygons import polygons
from fastsam_trt.segmentation.segments import Segments
from fastsam_trt.selectors import Selection

if TYPE_CHECKING:
    from supervision import Detections


class Result(Plots):
    """The n selected segments of one frame, best first. Masks are decoded on first use; any thread may read a result.

    The class is the same for all model families. Boxes are in pixel edges: the pixel in column x spans x to x + 1, so
    the box of a whole frame is 0, 0, W, H.

    Attributes:
        frame: (H, W, 3) uint8 BGR, the frame itself, not a copy.
        prompts: The prompts of this frame.
        crops_embedded: Number of crops that CLIP embedded for this frame.
        stream: Token of the stream whose tracks the segments belong to; None if unknown.
        speed: ms per stage: `preprocess`, `segment`, `select`, `decode` (masks; 0 until they are decoded), `total`.
    """

    __slots__ = (
        "_class_agnostic",
        "_class_names",
        "_crops",
        "_found",
        "crops_embedded",
        "frame",
        "prompts",
        "speed",
        "stream",
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
        crops_embedded: int = 0,
        stream: object = None,
    ) -> None:
        self.frame = frame
        self.stream = stream
        self._found = segments, selection
        self.prompts = prompts
        self.crops_embedded = crops_embedded
        self._class_names = class_names
        self._class_agnostic = class_agnostic
        self._crops: list[MaskCrop] | None = None
        self.speed = {**speed, "decode": 0.0, "total": sum(speed.values())}

    def __len__(self) -> int:
        return len(self._found[1].indices)

    @property
    def segments(self) -> Segments:
        """All segments of the frame, selected or not. Those that no prompt could select are computed on first use."""
        return self._all()[0]

    @property
    def selection(self) -> Selection:
        """Which of the segments are selected, and why."""
        return self._all()[1]

    @property
    def boxes(self) -> NDArray[np.float32]:
        """(n, 4) float32 xyxy, px of the frame."""
        segments, selection = self._found
        return segments.boxes[selection.indices]

    @property
    def scores(self) -> NDArray[np.float32]:
        """(n,) float32, the segmenter's confidence, 0..1."""
        segments, selection = self._found
        return segments.scores[selection.indices]

    @property
    def class_ids(self) -> NDArray[np.int32]:
        """(n,) int32."""
        segments, selection = self._found
        return segments.class_ids[selection.indices]

    @property
    def class_names(self) -> Sequence[str]:
        """The model's class names, by class id."""
        return self._class_names

    @property
    def labels(self) -> list[str | None]:
        """N class names; None if the model has no class names, or a single class that means nothing (FastSAM)."""
        return [self.label_of(class_id) for class_id in self.class_ids.tolist()]

    def label_of(self, class_id: int) -> str | None:
        """The name of a class, as in `labels`."""
        return None if self._class_agnostic or not self._class_names else self._class_names[class_id]

    @property
    def display_names(self) -> list[str | None]:
        """N texts to show: the prompt that selected the segment, or else its label."""
        pairs = zip(self.prompt_ids.tolist(), self.labels, strict=True)
        return [self.prompts[prompt_id] if prompt_id >= 0 else label for prompt_id, label in pairs]

    @property
    def prompt_ids(self) -> NDArray[np.int32]:
        """(n,) int32 into `prompts`; -1 for segments that no text prompt selected."""
        return self._found[1].prompt_ids

    @property
    def similarities(self) -> NDArray[np.float32]:
        """(n,) float32, 0..1, how well the segment matches its prompt according to CLIP; NaN if CLIP was not used."""
        return self._found[1].similarities

    @property
    def track_ids(self) -> NDArray[np.int32]:
        """(n,) int32; -1 for segments that are not tracked."""
        segments, selection = self._found
        return segments.track_ids[selection.indices]

    @property
    def pending(self) -> NDArray[np.intp]:
        """(m,) indices into `segments`: segments that wait for CLIP, and are decided in a later frame (`budget_ms`)."""
        pending = self._found[1].pending
        return self.selection.pending if len(pending) else pending

    @property
    def pending_tracks(self) -> NDArray[np.int32]:
        """(m,) int32, the track ids of the `pending` segments; -1 for segments that are not tracked."""
        segments, selection = self._found
        return segments.track_ids[selection.pending]

    def mask_crops(self) -> list[MaskCrop]:
        """The n masks, each inside its box: decoded on first use, then kept."""
        if self._crops is None:
            start = time.perf_counter()
            segments, selection = self._found
            self._crops = segments.masks.decode(selection.indices.tolist())
            self.speed["decode"] = (time.perf_counter() - start) * 1e3
            self.speed["total"] = sum(ms for stage, ms in self.speed.items() if stage != "total")
        return self._crops

    def masks(self) -> NDArray[np.bool_]:
        """The masks at the size of the frame, (n, H, W) bool."""
        return paste(self.mask_crops(), self.frame.shape[0], self.frame.shape[1])

    def cutouts(self) -> list[NDArray[np.uint8]]:
        """The segments cut out of the frame: n of (h, w, 4) uint8 BGRA inside their boxes, alpha is the mask."""
        return [cut_out(self.frame, crop) for crop in self.mask_crops()]

    def rle(self) -> list[rle.Rle]:
        """The masks as COCO RLE."""
        return [rle.encode(crop, self.frame.shape[0], self.frame.shape[1]) for crop in self.mask_crops()]

    def polygons(self, simplify_px: float = 0.0, *, holes: bool = True) -> list[list[NDArray[np.float32]]]:
        """The masks as outlines along the edges of their pixels.

        Args:
            simplify_px: Vertices that lie closer to the simplified outline than this are dropped, px; 0: exact.
            holes: Whether to cut out holes. A hole is joined to the outline by a line that is traversed both ways.

        Returns:
            For each segment its polygons, (k, 2) float32 xy with k of 3 or more, px of the frame. Whole numbers are
            pixel centres; add 0.5 for COCO's coordinates. A segment in several parts has several polygons, a segment
            without pixels has none. `fastsam_trt.results.polygons` has the details.

        Raises:
            OptionError: `simplify_px` is negative or not finite.
        """
        return polygons(self.mask_crops(), simplify_px, holes=holes)

    def to_supervision(self) -> Detections:
        """The segments as `supervision.Detections`, for its annotators, zones and trackers.

        Returns:
            `xyxy`, `mask` (n, H, W) bool, `confidence`, `class_id`; `tracker_id` if any segment is tracked, -1 for
            those that are not; in `data`, `class_name` and `prompt`, (n,) str, empty where there is none, and
            `similarity`, (n,) float32. `class_name` is set for one-class models too.

        Raises:
            PackagesMissingError: The extra `[supervision]` is not installed.
        """
        try:
            from supervision import Detections
        except ModuleNotFoundError as error:
            raise PackagesMissingError([error.name or "supervision"], "supervision") from error
        names, prompts = self.class_names, self.prompts
        class_names = [names[i] if i < len(names) else "" for i in self.class_ids.tolist()]
        return Detections(
            xyxy=self.boxes,
            mask=self.masks(),
            confidence=self.scores,
            class_id=self.class_ids,
            tracker_id=self.track_ids if (self.track_ids >= 0).any() else None,
            data={
                "class_name": np.array(class_names, np.str_),
                "prompt": np.array([prompts[i] if i >= 0 else "" for i in self.prompt_ids.tolist()], np.str_),
                "similarity": self.similarities,
            },
        )

    def _all(self) -> tuple[Segments, Selection]:
        """All segments, and the selection from them."""
        segments, selection = self._found
        if segments.remainder is not None:
            every, indices = segments.remainder.all()
            self._found = (
                replace(every, masks=CachedMasks(every.masks), speed_ms=segments.speed_ms),
                replace(selection, indices=indices[selection.indices], pending=indices[selection.pending]),
            )
        return self._found

    def crops(self) -> list[MaskCrop]:
        """Deprecated: the old name of `mask_crops`."""
        warn_renamed("Result.crops()", "Result.mask_crops()")
        return self.mask_crops()

    @property
    def embedded(self) -> int:
        """Deprecated: the old name of `crops_embedded`."""
        warn_renamed("Result.embedded", "Result.crops_embedded")
        return self.crops_embedded


def cut_out(frame: NDArray[np.uint8], crop: MaskCrop) -> NDArray[np.uint8]:
    """Cut a mask out of a frame.

    Args:
        frame: (H, W, 3) uint8 BGR.
        crop: The mask inside its box.

    Returns:
        (h, w, 4) uint8 BGRA, of the crop's size: alpha is 255 inside the mask; all channels are 0 outside it.
    """
    left, top, pixels = crop
    height, width = pixels.shape
    image = np.full((height, width, 4), 255, np.uint8)
    image[..., :3] = frame[top : top + height, left : left + width]
    image[~pixels] = 0
    return image
