"""CombinedSelector: the union of several selectors, minus the exclusions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.segmentation.segments import Segments
from fastsam_trt.selectors.selection import Selection, Selector


class EverythingSelector:
    """Selects every segment."""

    def select(self, frame: NDArray[np.uint8], segments: Segments) -> Selection:
        """Select all segments, without a prompt."""
        return Selection.without_prompt(np.arange(len(segments)))


class CombinedSelector:
    """Selects the union of several selectors' segments, each segment once, minus exclusions.

    The steps, in order: drop segments of excluded classes; take the union of the `wanted` selectors; drop what
    `clip_exclusions` selects, except where CLIP selected the segment, since CLIP has already weighed the exclusion
    against the prompt; drop what `exclusions` selects, without exception.
    """

    def __init__(
        self,
        wanted: Sequence[Selector] = (),
        *,
        excluded_classes: Sequence[int] = (),
        clip_exclusions: Selector | None = None,
        exclusions: Selector | None = None,
    ) -> None:
        """Combine selectors.

        Args:
            wanted: Alternatives; an empty sequence selects everything.
            excluded_classes: Ids of classes whose segments are never selected.
            clip_exclusions: Selects what CLIP recognises as excluded.
            exclusions: Selects what is excluded even if CLIP selected it.
        """
        self._wanted: Sequence[Selector] = wanted or (EverythingSelector(),)
        self._excluded_classes = list(excluded_classes)
        self._clip_exclusions = clip_exclusions
        self._exclusions = exclusions

    def select(self, frame: NDArray[np.uint8], segments: Segments) -> Selection:
        """Select what is wanted and not excluded.

        Raises:
            PromptError: A box or point of a selector lies outside the frame.
        """
        origin: NDArray[np.intp] | None = None
        if self._excluded_classes:
            origin = np.flatnonzero(~np.isin(segments.class_ids, self._excluded_classes))
            segments = segments.take(origin)
        selection = self._union(frame, segments)
        if self._clip_exclusions is not None:
            without_clip = np.flatnonzero(np.isnan(selection.similarities))
            selection = _exclude(selection, self._clip_exclusions, frame, segments, without_clip)
        if self._exclusions is not None:
            selection = _exclude(selection, self._exclusions, frame, segments, np.arange(len(selection.indices)))
        if origin is None:
            return selection
        return replace(selection, indices=origin[selection.indices], pending=origin[selection.pending])

    def _union(self, frame: NDArray[np.uint8], segments: Segments) -> Selection:
        if len(self._wanted) == 1:
            return self._wanted[0].select(frame, segments)
        selected, pending = np.zeros((2, len(segments)), np.bool_)
        prompt_ids = np.full(len(segments), -1, np.int32)
        similarities = np.full(len(segments), np.nan, np.float32)
        crops_embedded = 0
        for selector in self._wanted:
            found = selector.select(frame, segments)
            selected[found.indices] = True
            pending[found.pending] = True
            crops_embedded += found.crops_embedded
            by_text = found.prompt_ids >= 0  # a box or point that selects the same segment does not reset its prompt
            prompt_ids[found.indices[by_text]] = found.prompt_ids[by_text]
            similarities[found.indices[by_text]] = found.similarities[by_text]
        indices = np.flatnonzero(selected)
        pending &= ~selected
        return Selection(indices, prompt_ids[indices], similarities[indices], np.flatnonzero(pending), crops_embedded)


def _exclude(
    selection: Selection,
    exclusions: Selector,
    frame: NDArray[np.uint8],
    segments: Segments,
    candidates: NDArray[np.intp],
) -> Selection:
    """Remove what `exclusions` selects among the `candidates`, (j,) rows; what is undecided becomes pending."""
    found = exclusions.select(frame, segments.take(selection.indices[candidates]))
    undecided = candidates[found.pending]
    kept = np.setdiff1d(np.arange(len(selection.indices)), np.concatenate([candidates[found.indices], undecided]))
    return replace(
        selection.take(kept),
        pending=np.union1d(selection.pending, selection.indices[undecided]),
        crops_embedded=selection.crops_embedded + found.crops_embedded,
    )
