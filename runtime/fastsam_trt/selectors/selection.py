"""Selection and Ranking: which segments match which prompt, and how well; Selector: what returns a selection."""

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
        prompt_ids: (k,) int32 into the text prompts; -1 where a box, a point or no prompt selected the segment.
        similarities: (k,) float32 in 0..1, CLIP's confidence in the prompt; NaN where CLIP was not used.
        pending: (m,) into the segments: those that are undecided until CLIP has seen them.
        crops_embedded: How many crops went through CLIP for this selection.
    """

    indices: NDArray[np.intp]
    prompt_ids: NDArray[np.int32]
    similarities: NDArray[np.float32]
    pending: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, np.intp))
    crops_embedded: int = 0

    @classmethod
    def without_prompt(cls, indices: NDArray[np.intp]) -> Selection:
        """Select (k,) segments that no text prompt selected."""
        return cls(indices, np.full(len(indices), -1, np.int32), np.full(len(indices), np.nan, np.float32))

    def best(self, scores: NDArray[np.float32], most: int) -> Selection:
        """Keep the best segments, in the order of the segments; pending segments stay pending.

        Segments that a label, a box or a point selected come first, by score, because these match or do not. Segments
        that CLIP selected follow, by similarity.

        Args:
            scores: (n,) of all segments.
            most: How many to keep.
        """
        by_clip = ~np.isnan(self.similarities)
        order = np.lexsort((-scores[self.indices], -self.similarities, by_clip))
        return self.take(np.sort(order[:most]))

    def take(self, kept: NDArray[np.intp]) -> Selection:
        """Keep the selected segments of some rows, (j,) of k, in that order; pending segments stay pending."""
        return replace(
            self,
            indices=self.indices[kept],
            prompt_ids=self.prompt_ids[kept],
            similarities=self.similarities[kept],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """The k segments that were compared with the text prompts, best first, selected or not.

    Segments whose class label matches a prompt come first, by the segmenter's score; then those that CLIP compared, by
    similarity. Other segments are not ranked: there are some if no prompt went to CLIP.

    Attributes:
        indices: (k,) into the segments.
        prompt_ids: (k,) int32 into the text prompts: the best prompt of the segment.
        similarities: (k,) float32 in 0..1, CLIP's confidence in that prompt; NaN where the class label matched it.
    """

    indices: NDArray[np.intp]
    prompt_ids: NDArray[np.int32]
    similarities: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.indices)


class Selector(Protocol):
    """Selects segments."""

    def select(self, frame: NDArray[np.uint8], segments: Segments) -> Selection:
        """Select among the segments of a frame (H, W, 3) uint8 BGR."""
