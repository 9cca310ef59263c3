"""SceneCutDetector: whether a frame continues the scene of the frame before it."""

from __future__ import annotations

from typing import Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Continuity: TypeAlias = Literal["same", "cut", "back"]

_WIDTH_PX, _HEIGHT_PX = 64, 36  # of the thumbnail, for any aspect ratio
_BLOCK_WIDTH_PX, _BLOCK_HEIGHT_PX = 16, 12  # of the blocks of a thumbnail that are searched for in the other
_REACH_X_PX, _REACH_Y_PX = 10, 7  # how far a block may have moved
_NOISE_LEVELS = 32  # added to grey levels before the logarithm, since differences in the dark are noise
_BLUR_PX = 9  # the blurred thumbnail is subtracted, because gradients of light look alike in many scenes
_NOISE_LOG = 0.03  # standard deviation of a block without structure
_MIN_STRUCTURE_LOG = 0.004  # mean deviation of the blocks above noise; two frames with less are both plain
_SAME_DIFFERENCE_LOG = 0.05  # frames with a smaller mean difference are the same scene without a search
_SAME_CORRELATION = 0.7  # and so are frames whose whole thumbnails correlate more
_MIN_CORRELATION = 0.55  # 99.8 % of real cuts are below 0.5, and a fast pan that skips two frames above 0.6
_BACK_FRAMES = 4  # a flash or a broken frame is over by then
_MIN_GAP_S = 2.0
_MIN_GAP_INTERVALS = 5.0
_INTERVAL_WEIGHT = 0.2  # weight of a new interval in the mean interval between frames


class SceneCutDetector:
    """Tells cuts from motion, changes of light and flashes.

    Two successive frames are compared by the structure of their thumbnails. Blocks of each are searched for in the
    other, around their old position, and the mean of the best correlations is weighted by the structure in the blocks.
    Motion moves blocks and light scales them, but a cut replaces them. A change of the frame's size is a cut too, and
    so is a gap in time over which objects can't be followed.

    A scene that returns within a few frames of its cut is `back`: there was a flash or a broken frame.
    """

    def __init__(self) -> None:
        self._last: NDArray[np.float32] | None = None
        self._shape: tuple[int, ...] = ()
        self._time_s: float | None = None
        self._interval_s: float | None = None
        self._before_cut: NDArray[np.float32] | None = None  # thumbnail of the last frame before a cut
        self._frames_since_cut = 0

    def update(self, frame: NDArray[np.uint8], time_s: float | None = None) -> Continuity:
        """Compare the next frame with the one before it.

        Args:
            frame: (H, W, 3) uint8 BGR.
            time_s: Time of the frame in its source; None: unknown.

        Returns:
            `same`: it continues the scene, or is the first frame. `cut`: another scene starts. `back`: the scene before
            the last cut continues.
        """
        thumbnail = _thumbnail(frame)
        last, self._last = self._last, thumbnail
        gap = self._has_gap(time_s)
        resized, self._shape = last is not None and frame.shape != self._shape, frame.shape
        self._frames_since_cut += 1
        if gap or resized:
            self._before_cut = None
            return "cut"
        if last is None or not is_cut(last, thumbnail):
            return "same"
        recent = self._frames_since_cut <= _BACK_FRAMES
        if self._before_cut is not None and recent and not is_cut(self._before_cut, thumbnail):
            self._before_cut = None
            return "back"
        self._before_cut, self._frames_since_cut = last, 0
        return "cut"

    def _has_gap(self, time_s: float | None) -> bool:
        last_s, self._time_s = self._time_s, time_s
        if last_s is None or time_s is None or time_s < last_s:
            return False
        interval_s, mean_s = time_s - last_s, self._interval_s
        self._interval_s = interval_s if mean_s is None else mean_s + _INTERVAL_WEIGHT * (interval_s - mean_s)
        return interval_s > max(_MIN_GAP_S, _MIN_GAP_INTERVALS * (mean_s or 0.0))


def is_cut(before: NDArray[np.float32], after: NDArray[np.float32]) -> bool:
    """Whether two thumbnails, (36, 64) float32 of `_thumbnail`, show different scenes."""
    difference = after - before
    if float(np.abs(difference - np.median(difference)).mean()) < _SAME_DIFFERENCE_LOG:
        return False
    if float((before * after).sum()) > _SAME_CORRELATION * float(np.linalg.norm(before) * np.linalg.norm(after)):
        return False
    scores, weights = zip(*(_match_blocks(*pair) for pair in ((before, after), (after, before))), strict=True)
    weight = np.concatenate(weights)
    if float(weight.mean()) < _MIN_STRUCTURE_LOG:
        return False
    return float((np.concatenate(scores) * weight).sum() / weight.sum()) < _MIN_CORRELATION


def _thumbnail(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Compute the logarithms of the grey levels of a small copy, minus their blur: (36, 64) float32."""
    # Every pixel of the thumbnail is the mean of four samples; an exact mean of a large frame takes many times as long.
    sampled = cv2.resize(frame, (2 * _WIDTH_PX, 2 * _HEIGHT_PX), interpolation=cv2.INTER_LINEAR)
    small = cv2.resize(sampled, (_WIDTH_PX, _HEIGHT_PX), interpolation=cv2.INTER_AREA)
    logs = np.log(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY).astype(np.float32) + _NOISE_LEVELS)
    return np.asarray(logs - cv2.blur(logs, (_BLUR_PX, _BLUR_PX)), np.float32)


def _match_blocks(
    thumbnail: NDArray[np.float32], other: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the best correlation of each of b blocks of a thumbnail in another, and its weight: two (b,) arrays."""
    padded = cv2.copyMakeBorder(other, _REACH_Y_PX, _REACH_Y_PX, _REACH_X_PX, _REACH_X_PX, cv2.BORDER_REFLECT)
    scores, weights = [], []
    for y in range(0, _HEIGHT_PX, _BLOCK_HEIGHT_PX):
        for x in range(0, _WIDTH_PX, _BLOCK_WIDTH_PX):
            block = thumbnail[y : y + _BLOCK_HEIGHT_PX, x : x + _BLOCK_WIDTH_PX]
            weights.append(max(float(block.std()) - _NOISE_LOG, 0.0))
            if weights[-1] == 0:
                scores.append(0.0)
                continue
            area = padded[y : y + _BLOCK_HEIGHT_PX + 2 * _REACH_Y_PX, x : x + _BLOCK_WIDTH_PX + 2 * _REACH_X_PX]
            correlations = cv2.matchTemplate(area, block, cv2.TM_CCOEFF_NORMED)
            scores.append(float(np.nan_to_num(correlations, posinf=0, neginf=0).max()))
    return np.array(scores), np.array(weights)
