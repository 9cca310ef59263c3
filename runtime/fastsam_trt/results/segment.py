"""Segment: one selected segment of a result."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.masks.mask_source import MaskCrop, paste
from fastsam_trt.results import rle
from fastsam_trt.results.polygons import polygons
from fastsam_trt.results.selected import SelectedSegments


class Segment:
    """One of the selected segments of a result: a view that copies and decodes nothing until it is read.

    The mask is decoded when one of `mask`, `mask_crop`, `cutout`, `rle` and `polygons` is first read, and kept. Of the
    segments that an iteration yields, all are decoded together then, which costs less than one by one.
    """

    __slots__ = ("_result", "_row", "_together")

    def __init__(self, result: SelectedSegments, row: int, *, together: bool = False) -> None:
        """View a segment.

        Args:
            result: The result.
            row: Its row in the result, 0 to n - 1.
            together: Whether the first mask that is read decodes all masks of the result.
        """
        self._result, self._row, self._together = result, row, together

    @property
    def index(self) -> int:
        """Its row in the result: `result[segment.index]` is this segment."""
        return self._row

    @property
    def box(self) -> NDArray[np.float32]:
        """(4,) float32 xyxy, px of the frame, counted from edges."""
        return np.asarray(self._result.boxes[self._row])

    @property
    def score(self) -> float:
        """The segmenter's confidence, 0..1."""
        return float(self._result.scores[self._row])

    @property
    def class_id(self) -> int:
        """Its class, an index into `Result.class_names`."""
        return int(self._result.class_ids[self._row])

    @property
    def label(self) -> str | None:
        """The name of its class; None if the model has no class names, or one that means nothing (FastSAM)."""
        return self._result.label_of(self.class_id)

    @property
    def prompt(self) -> str | None:
        """The text prompt that selected it; None if a box, a point or no prompt did."""
        prompt_id = int(self._result.prompt_ids[self._row])
        return self._result.prompts[prompt_id] if prompt_id >= 0 else None

    @property
    def display_name(self) -> str | None:
        """The text to show: its prompt, or else its label."""
        return self.prompt or self.label

    @property
    def similarity(self) -> float | None:
        """How well it matches its prompt according to CLIP, 0..1; None if CLIP was not used."""
        similarity = float(self._result.similarities[self._row])
        return None if math.isnan(similarity) else similarity

    @property
    def track_id(self) -> int | None:
        """Its track, the same in every frame of a stream; None if it is not tracked."""
        track_id = int(self._result.track_ids[self._row])
        return track_id if track_id >= 0 else None

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(H, W) bool, its mask at the size of the frame."""
        return np.asarray(paste([self.mask_crop], *self._result.size)[0])

    @property
    def mask_crop(self) -> MaskCrop:
        """Its mask inside its box, which is cheaper than `mask`."""
        if self._together:
            return self._result.mask_crops()[self._row]
        return self._result.mask_crop(self._row)

    @property
    def cutout(self) -> NDArray[np.uint8]:
        """(h, w, 4) uint8 BGRA, cut out of the frame inside its box; alpha is the mask."""
        return self.mask_crop.cut_out(self._result.frame)

    @property
    def rle(self) -> rle.Rle:
        """Its mask as COCO RLE."""
        return rle.encode(self.mask_crop, *self._result.size)

    def polygons(self, simplify_px: float = 0.0, *, holes: bool = True) -> list[NDArray[np.float32]]:
        """The outlines of its mask, (k, 2) float32 xy, px, one per connected part; see `Result.polygons`.

        Raises:
            OptionError: `simplify_px` is negative or not finite.
        """
        return polygons([self.mask_crop], simplify_px, holes=holes)[0]

    def __repr__(self) -> str:
        similarity, track_id = self.similarity, self.track_id
        parts = [
            repr(self.display_name) if self.display_name else "unnamed",
            f"score {self.score:.2f}",
            "" if similarity is None else f"similarity {similarity:.2f}",
            f"box {[round(edge) for edge in self.box.tolist()]}",
            "" if track_id is None else f"track {track_id}",
        ]
        return f"<Segment {', '.join(filter(None, parts))}>"
