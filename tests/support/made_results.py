"""Results made of given masks, and masks that are hard: holes, parts, single pixels, edges of the frame, nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from fastsam_trt.masks.mask_source import MaskCrop, paste
from fastsam_trt.results.result import Result
from fastsam_trt.segmentation.segments import Segments
from fastsam_trt.selectors import Selection

HEIGHT, WIDTH = 60, 80


class CropMasks:
    """Masks that are decoded already."""

    def __init__(self, crops: Sequence[MaskCrop]) -> None:
        self._crops = crops

    def __len__(self) -> int:
        return len(self._crops)

    def decode(self, indices: Iterable[int]) -> list[MaskCrop]:
        return [self._crops[index] for index in indices]

    def coarse(self, index: int, window: np.ndarray, size_px: int) -> np.ndarray:
        x0, y0, x1, y1 = window.tolist()
        crop, steps = self._crops[index], (np.arange(size_px) + 0.5) / size_px
        mask = paste([crop], int(y1) + 1, int(x1) + 1)[0]
        return mask[np.ix_((y0 + steps * (y1 - y0)).astype(int), (x0 + steps * (x1 - x0)).astype(int))]


def cut(mask: np.ndarray) -> MaskCrop:
    """The smallest crop of a mask (H, W)."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return MaskCrop(3, 2, np.zeros((0, 4), np.bool_))
    top, left = int(rows[0]), int(columns[0])
    return MaskCrop(left, top, mask[top : rows[-1] + 1, left : columns[-1] + 1].copy())


def made_result(
    masks: Sequence[np.ndarray],
    *,
    scores: Sequence[float] | None = None,
    class_ids: Sequence[int] | None = None,
    class_names: Sequence[str] = ("cat", "dog", "bird"),
    class_agnostic: bool = False,
    prompts: tuple[str, ...] = (),
    prompt_ids: Sequence[int] | None = None,
    similarities: Sequence[float] | None = None,
    pending: Sequence[int] = (),
    size: tuple[int, int] = (HEIGHT, WIDTH),
) -> Result:
    """A result with a segment for each mask (H, W) bool, all selected."""
    n = len(masks)
    crops = [cut(mask) for mask in masks]
    boxes = [(crop.left, crop.top, crop.left + crop.pixels.shape[1], crop.top + crop.pixels.shape[0]) for crop in crops]
    segments = Segments(
        np.array(boxes, np.float32).reshape(n, 4),
        np.array(np.linspace(0.9, 0.5, n) if scores is None else scores, np.float32),
        np.array([0] * n if class_ids is None else class_ids, np.int32),
        CropMasks(crops),
    )
    selection = Selection(
        np.arange(n),
        np.array([-1] * n if prompt_ids is None else prompt_ids, np.int32),
        np.array([np.nan] * n if similarities is None else similarities, np.float32),
        np.array(pending, np.intp),
    )
    frame = np.zeros((*size, 3), np.uint8)
    return Result(
        frame,
        segments,
        selection,
        class_names=class_names,
        class_agnostic=class_agnostic,
        prompts=prompts,
        speed={"segment": 1.0},
    )


def hard_masks() -> dict[str, np.ndarray]:
    """Masks (HEIGHT, WIDTH) bool by what is hard about them."""
    yy, xx = np.mgrid[:HEIGHT, :WIDTH]
    made = {name: np.zeros((HEIGHT, WIDTH), np.bool_) for name in _DRAWN}
    for name, regions in _DRAWN.items():
        for region in regions:
            made[name][region] = True
    ring = (yy - 30) ** 2 + (xx - 40) ** 2
    made["disc"] = ring < 20**2
    made["ring"] = (ring < 20**2) & (ring > 8**2)
    made["island in a ring"] = made["ring"] | (ring < 3**2)
    made["full frame"] = np.ones((HEIGHT, WIDTH), np.bool_)
    made["noise"] = np.random.default_rng(0).random((HEIGHT, WIDTH)) < 0.4
    made["diagonal"] = np.abs(yy - xx) < 1
    return made


_DRAWN: dict[str, list[tuple[slice | int, slice | int]]] = {
    "nothing": [],
    "one pixel": [(7, 9)],
    "first corner": [(0, 0)],
    "last corner": [(HEIGHT - 1, WIDTH - 1)],
    "row": [(0, slice(5, 30))],
    "column": [(slice(5, 30), WIDTH - 1)],
    "two pixels": [(slice(3, 5), 4)],
    "edges": [(slice(0, HEIGHT), slice(0, 4)), (slice(HEIGHT - 4, HEIGHT), slice(0, WIDTH))],
    "parts": [(slice(5, 20), slice(5, 20)), (slice(30, 31), slice(50, 51)), (slice(40, 55), slice(60, 80))],
    "touching corners": [(slice(5, 10), slice(5, 10)), (slice(10, 15), slice(10, 15))],
}
