"""LabelLayout: choose the size and the place of each label of a frame."""

from __future__ import annotations

from collections.abc import Sequence

from fastsam_trt.drawing.labels import Label
from fastsam_trt.drawing.placement import Place, Placement, Spot

_SIZES = (1.0, 0.8, 0.64)  # of labels, tried one after the other
_SIZES_ON_MASK = 2  # a larger text beside the mask is better than a smaller one on it
_LEAST_TEXT_PX = 10
_CROWDED = 0.08  # of the frame: if labels would cover more than this together, all of them begin with a smaller size
_WIDEST = 0.45  # of the frame, for a label
_LEAST_WIDE_PX = 120


class LabelLayout:
    """The labels of one frame. They are placed one by one, the most important first.

    A label goes to the first of these places that is free and large enough: on the mask, near the middle of what is
    visible of it; the same with text of 0.8 the size; around the segment, with a line to it if they do not touch; the
    same with text of 0.8 and 0.64 the size. If all are taken, the label is left out. If labels would cover much of the
    frame, all begin with a smaller size.
    """

    def __init__(
        self, texts: Sequence[tuple[str, ...]], size_px: int, height: int, width: int, placement: Placement
    ) -> None:
        """Choose the sizes.

        Args:
            texts: The words of each label; a segment without words has none.
            size_px: Of the text, if there is room.
            height, width: Of the frame, px.
            placement: Of the segments.
        """
        self._texts = texts
        self._placement = placement
        self._made: dict[tuple[tuple[str, ...], int], Label] = {}
        self._most_px = max(round(_WIDEST * width), _LEAST_WIDE_PX)
        least = min(_LEAST_TEXT_PX, size_px)
        self._sizes = sorted({max(round(size * size_px), least) for size in _SIZES}, reverse=True)
        while len(self._sizes) > 1 and self._area(self._sizes[0]) > _CROWDED * height * width:
            del self._sizes[0]

    def place(self, index: int, before: Spot | None = None) -> tuple[Label, Place] | None:
        """The label of a segment, and its place; None if it has no words, or there is no room.

        Args:
            index: Of the segment.
            before: Where the label was in the last frame.
        """
        words, placement = self._texts[index], self._placement
        if not words:
            return None
        for find, sizes in ((placement.on_mask, self._sizes[:_SIZES_ON_MASK]), (placement.beside, self._sizes)):
            for size in sizes:
                label = self._label(words, size)
                place = find(index, label.width, label.height, before)
                if place is not None:
                    return label, place
        return None

    def _area(self, size_px: int) -> int:
        """The area of all labels with texts of a size."""
        labels = [self._label(words, size_px) for words in self._texts if words]
        return sum(label.width * label.height for label in labels)

    def _label(self, words: tuple[str, ...], size_px: int) -> Label:
        key = words, size_px
        if key not in self._made:
            self._made[key] = Label.fitted(words, size_px, self._most_px)
        return self._made[key]
