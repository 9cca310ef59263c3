"""The selector that joins others: what any of them selects, less what was excluded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.segmentation.segments import Segments
from fastsam_trt.selectors.everything import EverythingSelector
from fastsam_trt.selectors.selection import Selection, Selector


class CombinedSelector:
    """Selects the union of what several selectors select, each segment once, less exclusions.

    Segments of an excluded class are out before anything is asked. Then the selectors choose. Then what `unlike`
    selects is taken away from the segments that CLIP did not choose (where it did, it has weighed the exclusion against
    the prompt), and last what `unwanted` selects, from all.
    """

    def __init__(
        self,
        wanted: Sequence[Selector] = (),
        *,
        excluded_classes: Sequence[int] = (),
        unlike: Selector | None = None,
        unwanted: Selector | None = None,
    ) -> None:
        """Join selectors.

        Args:
            wanted: Alternatives; none: everything is wanted.
            excluded_classes: Ids of classes whose segments are never selected.
            unlike: Selects what CLIP says is excluded.
            unwanted: Selects what is excluded whoever chose it.
        """
        self._wanted: Sequence[Selector] = wanted or (EverythingSelector(),)
        self._excluded_classes = list(excluded_classes)
        self._unlike = unlike
        self._unwanted = unwanted

    def select(self, frame: NDArray[np.uint8], segments: Segments) -> Selection:
        """Choose what is wanted and not excluded.

        Raises:
            PromptError: A box or point of a selector lies outside the frame.
        """
        origin: NDArray[np.intp] | None = None
        if self._excluded_classes:
            origin = np.flatnonzero(~np.isin(segments.class_ids, self._excluded_classes))
            segments = segments.take(origin)
        chosen = self._union(frame, segments)
        if self._unlike is not None:
            chosen = _without(chosen, self._unlike, frame, segments, np.isnan(chosen.similarities))
        if self._unwanted is not None:
            chosen = _without(chosen, self._unwanted, frame, segments, np.ones(len(chosen.indices), np.bool_))
        if origin is None:
            return chosen
        return replace(chosen, indices=origin[chosen.indices], pending=origin[chosen.pending])

    def _union(self, frame: NDArray[np.uint8], segments: Segments) -> Selection:
        if len(self._wanted) == 1:
            return self._wanted[0].select(frame, segments)
        taken, pending = np.zeros((2, len(segments)), np.bool_)
        prompt_ids = np.full(len(segments), -1, np.int32)
        similarities = np.full(len(segments), np.nan, np.float32)
        crops_embedded = 0
        for selector in self._wanted:
            found = selector.select(frame, segments)
            taken[found.indices] = True
            pending[found.pending] = True
            crops_embedded += found.crops_embedded
            answers = found.prompt_ids >= 0  # the text selector's alone; a box or point does not take them away
            prompt_ids[found.indices[answers]] = found.prompt_ids[answers]
            similarities[found.indices[answers]] = found.similarities[answers]
        indices = np.flatnonzero(taken)
        pending &= ~taken
        return Selection(indices, prompt_ids[indices], similarities[indices], np.flatnonzero(pending), crops_embedded)


def _without(
    chosen: Selection, selector: Selector, frame: NDArray[np.uint8], segments: Segments, asked: NDArray[np.bool_]
) -> Selection:
    """What a selector leaves of a selection; it is shown the selected segments where `asked` (k,) only."""
    places = np.flatnonzero(asked)
    against = selector.select(frame, segments.take(chosen.indices[places]))
    kept = np.ones(len(chosen.indices), np.bool_)
    kept[places[against.indices]] = False
    kept[places[against.pending]] = False
    pending = np.union1d(chosen.pending, chosen.indices[places[against.pending]])
    crops_embedded = chosen.crops_embedded + against.crops_embedded
    return Selection(chosen.indices[kept], chosen.prompt_ids[kept], chosen.similarities[kept], pending, crops_embedded)
