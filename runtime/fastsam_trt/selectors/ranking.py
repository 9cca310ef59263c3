"""Ranking: how well every segment answers the text prompts, selected or not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """The k segments that text prompts were held against, best first.

    Segments whose class label answers a prompt come first, by the segmenter's score; then those that CLIP was asked
    about, by similarity. A segment that is in neither group (no prompt went to CLIP) is not ranked.

    Attributes:
        indices: (k,) into the segments.
        prompt_ids: (k,) int32 into the text prompts: the segment's best prompt.
        similarities: (k,) float32 in 0..1, how sure CLIP is of that prompt; NaN where the class label answered it.
    """

    indices: NDArray[np.intp]
    prompt_ids: NDArray[np.int32]
    similarities: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.indices)
