"""Result: the segments that were selected in one frame."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from fastsam_engine.import_names import warn_renamed
from fastsam_trt.masks.mask_source import MaskCrop
from fastsam_trt.results.categories import Categories
from fastsam_trt.results.coco import CocoRecord, as_records
from fastsam_trt.results.detections import as_detections
from fastsam_trt.results.plot_methods import Plots
from fastsam_trt.results.record import ResultRecord, as_record
from fastsam_trt.results.rows import Rows, several_rows, single_row
from fastsam_trt.results.segment import Segment
from fastsam_trt.results.selected import SelectedSegments
from fastsam_trt.results.summary import SegmentSummary, describe, summarise
from fastsam_trt.results.yolo_labels import label_lines

if TYPE_CHECKING:
    from supervision import Detections


class Result(Plots, SelectedSegments):
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

    __slots__ = ()

    def __iter__(self) -> Iterator[Segment]:
        """Yield the segments, best first."""
        return (Segment(self, row, together=True) for row in range(len(self)))

    @overload
    def __getitem__(self, index: int | np.integer[Any]) -> Segment: ...

    @overload
    def __getitem__(self, index: Rows) -> Result: ...

    def __getitem__(self, index: int | np.integer[Any] | Rows) -> Segment | Result:
        """One segment, or a result with some of the segments, as a NumPy array is indexed.

        Args:
            index: A row (negative ones count from the end): its segment. A slice, a mask of n bool such as
                `result.scores > 0.5`, or a list or array of rows: a result with these segments, in that order. It
                shares the frame and all masks; nothing is copied or decoded.

        Raises:
            SegmentIndexError: There is no such row, or the mask does not have n values.
            SegmentIndexTypeError: The index is of another type.
        """
        row = single_row(index, len(self))
        return self._take(several_rows(index, len(self))) if row is None else Segment(self, row)

    def to_dict(self, *, masks: bool = True) -> ResultRecord:
        """The result in JSON types, with the names of JSON lines: `size`, `ms`, `pending_tracks`, `segments`.

        Args:
            masks: Whether to include the masks as COCO RLE; otherwise none is decoded.
        """
        return as_record(self, masks=masks)

    def to_coco(
        self,
        image_id: int = 0,
        category_ids: Mapping[int, int] | None = None,
        *,
        file_name: str | None = None,
    ) -> list[CocoRecord]:
        """The segments as COCO detection results, for `COCO.loadRes`; see `fastsam_trt.results.coco.as_records`.

        Args:
            image_id: Id of the image in the ground truth.
            category_ids: Class id to category id; None: class ids, or category 1 without class names.
            file_name: Name of the image, stored in every record.

        Raises:
            OptionError: The class of a segment is not in `category_ids`.
        """
        return as_records(self, image_id, category_ids, file_name=file_name)

    def to_yolo(self, *, confidence: bool = False) -> str:
        """The segments as a label file of ultralytics: lines `class x y x y ...`; see `results.yolo_labels`.

        The class is that of the model; without class names the number of the prompt, and the next number without one.

        Args:
            confidence: Whether lines end with the score.
        """
        return label_lines(self, Categories(first=0, official=False).of(self), confidence=confidence)

    def to_supervision(self) -> Detections:
        """The segments as `supervision.Detections`, for its annotators, zones and trackers.

        Returns:
            `xyxy`, `mask` (n, H, W) bool, `confidence`, `class_id`; `tracker_id` if any segment is tracked, -1 for
            those that are not; in `data`, `class_name` and `prompt`, (n,) str, empty where there is none, and
            `similarity`, (n,) float32. `class_name` is set for one-class models too.

        Raises:
            PackagesMissingError: The extra `[supervision]` is not installed.
        """
        return as_detections(self)

    def summary(self, normalize: bool = False, decimals: int = 5) -> list[SegmentSummary]:
        """The segments as ultralytics' `Results.summary` lists them: `name`, `class`, `confidence`, `box`, `segments`.

        Args:
            normalize: Whether coordinates are fractions of the frame's width and height instead of px.
            decimals: To how many decimals numbers are rounded.
        """
        return summarise(self, normalize=normalize, decimals=decimals)

    def __repr__(self) -> str:
        height, width = self.size
        return f"<Result {width} x {height} px, {describe(self)}{'; released' if self.released else ''}>"

    def _take(self, rows: NDArray[np.intp]) -> Result:
        """A result with the segments of some rows."""
        segments, selection = self._found
        crops = self._crops
        taken = copy.copy(self)
        taken._found = segments, selection.take(rows)  # noqa: SLF001 - of the same class
        taken._crops = None if crops is None else [crops[row] for row in rows.tolist()]  # noqa: SLF001 - the same
        stages = {stage: ms for stage, ms in self.speed.items() if stage not in ("decode", "total")}
        taken.speed = {**stages, "decode": 0.0, "total": sum(stages.values())}
        return taken

    def crops(self) -> list[MaskCrop]:
        """Deprecated: the old name of `mask_crops`."""
        warn_renamed("Result.crops()", "Result.mask_crops()")
        return self.mask_crops()

    @property
    def embedded(self) -> int:
        """Deprecated: the old name of `crops_embedded`."""
        warn_renamed("Result.embedded", "Result.crops_embedded")
        return self.crops_embedded
