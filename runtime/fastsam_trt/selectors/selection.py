"""Selection: which segments answer which prompt."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.segmentation.segments import Segments


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """The k selected segments, in the order of the segments.

    Attributes:
        indices: (k,) into the segments.
        prompt_ids: (k,) int32 into the text prompts; -1 where a box, a point or no prompt chose the segment.
        similarities: (k,) float32 in 0..1, how sure CLIP is; NaN where CLIP was not asked.
        pending: (m,) into the segments: not selected, and not refused either, until CLIP has seen them.
        crops_embedded: How many crops went through CLIP for it.
    """

    indices: NDArray[np.intp]
    prompt_ids: NDArray[np.int32]
    similarities: NDArray[np.float32]
    pending: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, np.intp))
    crops_embedded: int = 0

    @classmethod
    def without_prompt(cls, indices: NDArray[np.intp]) -> Selection:
        """Select (k,) segments that no text prompt chose."""
        return cls(indices, np.full(len(indices), -1, np.int32), np.full(len(indices), np.nan, np.float32))


def best(selection: Selection, scores: NDArray[np.float32], most: int) -> Selection:
    """The best of what is selected, in the order of the segments.

    Those that CLIP did not choose come first, by score: a label, a box or a point is no matter of degree. Then those
    that it did choose, by similarity. What is pending stays so.

    Args:
        selection: k segments.
        scores: (n,) of all segments.
        most: How many to keep.
    """
    by_clip = ~np.isnan(selection.similarities)
    order = np.lexsort((-scores[selection.indices], -selection.similarities, by_clip))
    kept = np.sort(order[:most])
    return replace(
        selection,
        indices=selection.indices[kept],
        prompt_ids=selection.prompt_ids[kept],
        similarities=selection.similarities[kept],
    )


class Selector(Protocol):
    """Chooses segments."""

    def select(self, frame: NDArray[np.uint8], segments: Segments) -> Selection:
        """Choose among the segments of a frame (H, W, 3) uint8 BGR."""
