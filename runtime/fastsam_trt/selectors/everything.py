"""The selector that selects everything."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.segmentation.segments import Segments
from fastsam_trt.selectors.selection import Selection


class EverythingSelector:
    """Selects every segment."""

    def select(self, frame: NDArray[np.uint8], segments: Segments) -> Selection:
        """Choose all segments, for no prompt."""
        return Selection.without_prompt(np.arange(len(segments)))
