"""Controls: the boxes, points and thresholds of a run, which the page shows and changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from fastsam_trt.pipeline.pipeline import Pipeline
from fastsam_trt.prompts.regions import box_pixels, check_boxes, check_points, point_pixels


@dataclass(frozen=True, slots=True)
class Region:
    """A box or a point that selects.

    Attributes:
        at: `x0, y0, x1, y1` of a box or `x, y` of a point, px of the frame.
        label: 1; 0: a background point, which removes what it lies on.
    """

    at: tuple[float, ...]
    label: int = 1

    @property
    def is_box(self) -> bool:
        """Whether it is a box."""
        return len(self.at) == 4

    def as_record(self) -> dict[str, Any]:
        """The region as the page has it: `{"box": [...]}` or `{"point": [...], "label": 1}`."""
        return {"box": list(self.at)} if self.is_box else {"point": list(self.at), "label": self.label}


@dataclass(frozen=True, slots=True)
class LiveThresholds:
    """Thresholds of a run.

    Attributes:
        conf: Lowest score of a segment, 0..1.
        threshold: Lowest similarity of a segment that CLIP selects, 0..1.
    """

    conf: float
    threshold: float


class Controls(Protocol):
    """What of a run the page can change, besides its texts.

    Values are read on the server's thread, quickly. They are set on another thread, one change at a time. A
    `FastsamError` refuses a change, and the page shows its message.
    """

    @property
    def regions(self) -> tuple[Region, ...]:
        """The boxes and points that select."""

    def set_regions(self, regions: Sequence[Region]) -> None:
        """Replace all boxes and points."""

    @property
    def thresholds(self) -> LiveThresholds:
        """The thresholds."""

    def set_thresholds(self, conf: float | None = None, threshold: float | None = None) -> None:
        """Replace thresholds; None: as it is."""


class PipelineControls:
    """The boxes, points and thresholds of a pipeline."""

    def __init__(self, pipeline: Callable[[], Pipeline]) -> None:
        """Create them; `pipeline` returns the pipeline, quickly, from the start of the server on."""
        self._pipeline = pipeline

    @property
    def regions(self) -> tuple[Region, ...]:
        """The boxes and points that select."""
        pipeline = self._pipeline()
        points, labels = pipeline.points, pipeline.point_labels
        boxes = [Region(tuple(box)) for box in pipeline.boxes.tolist()]
        # Another thread may have set points between the two reads.
        return (
            *boxes,
            *(Region(tuple(at), label) for at, label in zip(points.tolist(), labels.tolist(), strict=False)),
        )

    def set_regions(self, regions: Sequence[Region]) -> None:
        """Replace all boxes and points. Frames of another size, which they may lie outside of, do not end the run."""
        boxes = [region.at for region in regions if region.is_box]
        points = [region for region in regions if not region.is_box]
        self._pipeline().set_regions(
            boxes, [point.at for point in points], [point.label for point in points], outside="ignore"
        )

    @property
    def thresholds(self) -> LiveThresholds:
        """The thresholds of the segmenter and of CLIP."""
        pipeline = self._pipeline()
        return LiveThresholds(float(pipeline.segmenter.thresholds.conf), float(pipeline.threshold))

    def set_thresholds(self, conf: float | None = None, threshold: float | None = None) -> None:
        """Replace thresholds; None: as it is.

        Raises:
            OptionError: A threshold is not from 0 to 1; nothing has changed then.
        """
        pipeline = self._pipeline()
        segmenter = pipeline.segmenter
        changed = segmenter.thresholds if conf is None else replace(segmenter.thresholds, conf=conf)
        if threshold is not None:
            pipeline.threshold = threshold
        segmenter.thresholds = changed


def check_inside(regions: Sequence[Region], height: int, width: int) -> None:
    """Check that boxes have an area and overlap the frame, and that points lie inside it.

    Raises:
        PromptError: One does not.
    """
    box_pixels(check_boxes([region.at for region in regions if region.is_box]), height, width)
    point_pixels(check_points([region.at for region in regions if not region.is_box]), height, width)
