"""PromptSet: the checked text, box and point prompts that decide what a pipeline selects."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastsam_trt.prompts.regions import OutsideName, check_boxes, check_outside, check_point_labels, check_points
from fastsam_trt.prompts.texts import check_prompts


@dataclass(frozen=True, slots=True, eq=False)
class PromptSet:
    """Checked prompts. The methods return changed copies.

    Text prompts, boxes and foreground points are alternatives: a segment that matches any of them is selected, once.
    Without any of them every segment is selected. Exclusions and background points then remove segments.

    Attributes:
        prompts: Texts that name what to select.
        excluded: Texts that name what not to select. A text that names a class removes that class. Any other text is
            one more negative for CLIP, and removes matching segments that CLIP did not select, for example a segment
            that a box selected.
        boxes: (b, 4) float64 xyxy, px of the frame, read-only. Each box selects the segment whose mask has the highest
            IoU with it. A box is clipped to the frame and must overlap it.
        points: (p, 2) float64 xy, px, inside the frame, read-only. A foreground point selects every segment whose mask
            contains it; a background point removes them.
        point_labels: (p,) int32, 1 foreground, 0 background, read-only.
        labels_given: Whether the caller gave the labels; if not, all points are foreground.
        outside: What to do with boxes and points outside a frame.
    """

    prompts: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    boxes: NDArray[np.float64] = field(default_factory=lambda: check_boxes(None))
    points: NDArray[np.float64] = field(default_factory=lambda: check_points(None))
    point_labels: NDArray[np.int32] = field(default_factory=lambda: check_point_labels(None, 0))
    labels_given: bool = False
    outside: OutsideName = "refuse"

    def with_changes(
        self,
        *,
        prompts: Iterable[str] | None = None,
        excluded: Iterable[str] | None = None,
        boxes: ArrayLike | None = None,
        points: ArrayLike | None = None,
        point_labels: ArrayLike | None = None,
    ) -> PromptSet:
        """Replace some of the prompts.

        Args:
            prompts, excluded, boxes, points: New values; `[]`: none; None: unchanged.
            point_labels: Labels of the points. None: all foreground if points are given, otherwise unchanged.

        Raises:
            PromptError: A prompt, box, point or label is invalid.
        """
        changes: dict[str, Any] = {}
        if boxes is not None or points is not None:
            changes["outside"] = "refuse"
        if prompts is not None:
            changes["prompts"] = check_prompts(prompts)
        if excluded is not None:
            changes["excluded"] = check_prompts(excluded)
        if boxes is not None:
            changes["boxes"] = check_boxes(boxes)
        changed = replace(self, **changes)
        if points is None and point_labels is None:
            return changed
        return changed.with_labelled_points(self.points if points is None else points, point_labels)

    def with_labelled_points(self, points: ArrayLike | None, point_labels: ArrayLike | None) -> PromptSet:
        """Replace points and labels together; no labels: all points are foreground.

        Raises:
            PromptError: A point or label is invalid, or their numbers differ.
        """
        checked = check_points(points)
        labels = check_point_labels(point_labels, len(checked))
        return replace(self, points=checked, point_labels=labels, labels_given=point_labels is not None)

    def with_regions(
        self, boxes: ArrayLike | None, points: ArrayLike | None, point_labels: ArrayLike | None, outside: OutsideName
    ) -> PromptSet:
        """Replace boxes, points and labels together, and what to do with those outside a frame.

        Raises:
            PromptError: A box, point or label is invalid.
            OptionError: `outside` is unknown.
        """
        check_outside(outside)
        changed = replace(self, boxes=check_boxes(boxes), outside=outside)
        return changed.with_labelled_points(points, point_labels)

    def with_points(self, points: ArrayLike | None) -> PromptSet:
        """Replace the points and keep the labels that the caller gave; no points: no labels either.

        Raises:
            PromptError: A point is invalid, or there are more or fewer points than labels.
        """
        checked = check_points(points)
        return self.with_labelled_points(checked, self.point_labels if self.labels_given and len(checked) else None)

    def __str__(self) -> str:
        """What is selected, in a few words: `'car', 2 points, not 'truck'`."""
        parts = [repr(prompt) for prompt in self.prompts]
        foreground = int((self.point_labels == 1).sum())
        for count, noun in (
            (len(self.boxes), "box"),
            (foreground, "point"),
            (len(self.points) - foreground, "background point"),
        ):
            if count:
                parts.append(f"{count} {noun}{('es' if noun == 'box' else 's') if count > 1 else ''}")
        if not (self.prompts or len(self.boxes) or foreground):
            parts.insert(0, "everything")
        return ", ".join([*parts, *(f"not {prompt!r}" for prompt in self.excluded)])
