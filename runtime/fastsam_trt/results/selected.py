"""SelectedSegments: what was selected in one frame, as arrays, and its masks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.errors import ReleasedError
from fastsam_trt.masks.cached import CachedMasks
from fastsam_trt.masks.mask_source import MaskCrop, paste
from fastsam_trt.masks.released import ReleasedMasks
from fastsam_trt.results import rle
from fastsam_trt.results.polygons import polygons
from fastsam_trt.segmentation.segments import Segments
from fastsam_trt.selectors import Selection


class SelectedSegments:
    """The base of `Result`, which documents the attributes: the n selected segments of one frame, best first."""

    __slots__ = (
        "_class_agnostic",
        "_class_names",
        "_crops",
        "_found",
        "_frame",
        "_size",
        "crops_embedded",
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
        self._frame: NDArray[np.uint8] | None = frame
        self._size: tuple[int, int] = frame.shape[0], frame.shape[1]
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
    def frame(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 BGR, the frame itself, not a copy."""
        frame = self._frame
        if frame is None:
            raise ReleasedError("the frame", "read it before release(), or keep a copy")
        return frame

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the frame, px."""
        return self._size

    @property
    def released(self) -> bool:
        """Whether `release` was called."""
        return self._frame is None

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
        crops = self._crops
        if crops is None:
            self._crops = crops = self._decode(range(len(self)))
        return crops

    def mask_crop(self, row: int) -> MaskCrop:
        """One of the n masks inside its box; no other is decoded for it.

        Args:
            row: From 0 to n - 1.
        """
        return self._decode([row])[0] if self._crops is None else self._crops[row]

    def masks(self) -> NDArray[np.bool_]:
        """The masks at the size of the frame, (n, H, W) bool."""
        return paste(self.mask_crops(), *self._size)

    def cutouts(self) -> list[NDArray[np.uint8]]:
        """The segments cut out of the frame: n of (h, w, 4) uint8 BGRA inside their boxes, alpha is the mask."""
        frame = self.frame
        return [crop.cut_out(frame) for crop in self.mask_crops()]

    def rle(self) -> list[rle.Rle]:
        """The masks as COCO RLE."""
        return [rle.encode(crop, *self._size) for crop in self.mask_crops()]

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

    def release(self) -> None:
        """Let the frame go, and what undecoded masks are computed from: a kept result then takes little memory.

        Boxes, scores, labels and the other arrays stay; so do the masks, if all of them were decoded before, by
        `mask_crops` or anything that needs all. After it these raise `ReleasedError`: `frame`, `cutouts`, what draws,
        `segments`, `selection`, `pending` if there are any, and masks that were not decoded.

        A segment is a view of its result, so this applies to it, too. Results that were selected from this one keep the
        frame until they are released as well. A second call has no effect.
        """
        self._frame = None
        segments, selection = self._found
        self._found = replace(segments, masks=ReleasedMasks(len(segments)), remainder=None), selection

    def _decode(self, rows: Sequence[int]) -> list[MaskCrop]:
        """Decode some of the n masks."""
        start_s = time.perf_counter()
        segments, selection = self._found
        crops = segments.masks.decode(selection.indices[np.asarray(rows, np.intp)].tolist())
        self.speed["decode"] += (time.perf_counter() - start_s) * 1e3
        self.speed["total"] = sum(ms for stage, ms in self.speed.items() if stage != "total")
        return crops

    def _all(self) -> tuple[Segments, Selection]:
        """All segments, and the selection from them."""
        if self._frame is None:
            raise ReleasedError("all segments", "read segments, selection or pending before release()")
        segments, selection = self._found
        if segments.remainder is not None:
            every, indices = segments.remainder.all()
            found = (
                replace(every, masks=CachedMasks(every.masks), speed_ms=segments.speed_ms),
                replace(selection, indices=indices[selection.indices], pending=indices[selection.pending]),
            )
            if self._frame is not None:  # it was not released meanwhile
                self._found = found
            return found
        return segments, selection
