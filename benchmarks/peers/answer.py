"""The segments that a side found in a picture, and the file that a peer sends them in. It needs only numpy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Answer:
    """The n segments of a picture.

    Attributes:
        boxes: (n, 4) xyxy, px of the picture.
        scores: (n,), 0..1.
        class_ids: (n,).
        masks: (n, H, W) bool, at the size of the picture; None if the side returns none of that size.
        selected: Index of the segment that matches the prompt best; -1: none, or there was no prompt.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    class_ids: NDArray[np.int32]
    masks: NDArray[np.bool_] | None = None
    selected: int = -1

    def __post_init__(self) -> None:
        count = len(self.boxes)
        masks = count if self.masks is None else len(self.masks)
        if self.boxes.shape != (count, 4) or {len(self.scores), len(self.class_ids), masks} != {count}:
            raise ValueError(
                f"expected boxes (n, 4) and n scores, classes and masks, found boxes {self.boxes.shape}, "
                f"{len(self.scores)} scores, {len(self.class_ids)} classes and {masks} masks"
            )
        if not -1 <= self.selected < count:
            raise ValueError(f"expected a selected segment of {count} or -1, found {self.selected}")

    def __len__(self) -> int:
        return len(self.boxes)

    def save(self, path: Path) -> None:
        """Write the segments as .npz, with masks as bits."""
        arrays: dict[str, Any] = {"boxes": self.boxes, "scores": self.scores, "class_ids": self.class_ids}
        if self.masks is not None:
            arrays |= {"masks": np.packbits(self.masks, axis=-1), "width": np.array(self.masks.shape[-1])}
        with path.open("wb") as file:
            np.savez(file, selected=np.array(self.selected), **arrays)

    @classmethod
    def load(cls, path: Path) -> Answer:
        """Read a file of `save`.

        Raises:
            ValueError, OSError, KeyError: The file contains something else.
        """
        with np.load(path, allow_pickle=False) as file:
            masks = None
            if "masks" in file:
                masks = np.unpackbits(file["masks"], axis=-1, count=int(file["width"])).astype(np.bool_)
            return cls(
                file["boxes"].astype(np.float32).reshape(-1, 4),
                file["scores"].astype(np.float32),
                file["class_ids"].astype(np.int32),
                masks,
                int(file["selected"]),
            )


def boxes_of(masks: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The boxes of masks (n, H, W): (n, 4) xyxy, edges of pixels; zeros for an empty mask."""
    boxes = np.zeros((len(masks), 4), np.float32)
    for box, mask in zip(boxes, masks, strict=True):
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if len(rows):
            box[:] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    return boxes
