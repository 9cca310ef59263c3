"""SceneCut: whether a frame goes on with the scene of the frame before, by small copies of both."""

from __future__ import annotations

from typing import Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Continuity: TypeAlias = Literal["same", "cut", "back"]

_WIDTH, _HEIGHT = 64, 36  # of the small copy, whatever the aspect
_BLOCK = 16, 12  # columns and rows of the small copy that are looked for in the other as one
_REACH = 10, 7  # how far they may have moved
_DARK = 32  # grey levels whose differences are noise
_BLUR = 9, 9  # structure is what is left of the picture without this blur: gradients of light are like in many scenes
_NOISE = 0.03  # deviation of a block without structure, in logarithms
_LEAST_STRUCTURE = 0.004  # mean of the blocks' deviations above noise; two frames with less are both plain
_STEADY = 0.05  # mean difference, in logarithms, of frames that need no closer look
_LIKE = 0.7  # correlation of whole frames that need no closer look either
_LEAST_FOUND = 0.55  # correlation: 0.998 of real cuts lie below 0.5, a fast pan that leaves out two frames above 0.6
_BACK_FRAMES = 4  # a flash or a broken frame is over by then
_GAP_S = 2.0
_GAPS = 5.0  # times the usual interval between frames


class SceneCut:
    """Tells cuts from motion, light and flashes.

    The structure of each frame is compared with that of the frame before: blocks of one are looked for in the other and
    the reverse, around where they were, and the mean of their best correlations, weighted by how much structure each
    holds, must be high. Motion moves blocks, and light scales them; neither makes them unlike. A change of the frame's
    size is a cut too, and so is a gap in time in which objects could not be followed.

    A scene that is there again within a few frames of its cut comes back: it was a flash, or a frame that was broken.
    """

    def __init__(self) -> None:
        self._last: NDArray[np.float32] | None = None
        self._shape: tuple[int, ...] = ()
        self._time_s: float | None = None
        self._interval_s: float | None = None
        self._before: NDArray[np.float32] | None = None  # the last frame of the scene that was cut
        self._since = 0  # frames since that cut

    def follow(self, frame: NDArray[np.uint8], time_s: float | None = None) -> Continuity:
        """Go on to the next frame.

        Args:
            frame: (H, W, 3) uint8 BGR.
            time_s: Its place in its source's time, where that is known.

        Returns:
            Whether it is the `same` scene as the frame before, or another after a `cut`, or that of before the last
            cut, which is `back`. The first frame of all is the same.
        """
        small = _shrink(frame)
        last, self._last = self._last, small
        gap = self._has_gap(time_s)
        other_size, self._shape = last is not None and frame.shape != self._shape, frame.shape
        self._since += 1
        if gap or other_size:
            self._before = None
            return "cut"
        if last is None or not is_cut(last, small):
            return "same"
        if self._before is not None and self._since <= _BACK_FRAMES and not is_cut(self._before, small):
            self._before = None
            return "back"
        self._before, self._since = last, 0
        return "cut"

    def _has_gap(self, time_s: float | None) -> bool:
        last_s, self._time_s = self._time_s, time_s
        if last_s is None or time_s is None or time_s < last_s:
            return False
        interval_s, usual_s = time_s - last_s, self._interval_s
        self._interval_s = interval_s if usual_s is None else usual_s + 0.2 * (interval_s - usual_s)
        return interval_s > max(_GAP_S, _GAPS * (usual_s or 0.0))


def is_cut(before: NDArray[np.float32], after: NDArray[np.float32]) -> bool:
    """Whether two small frames, each as `_shrink` makes them, show different scenes."""
    difference = after - before
    if float(np.abs(difference - np.median(difference)).mean()) < _STEADY:
        return False
    if float((before * after).sum()) > _LIKE * float(np.linalg.norm(before) * np.linalg.norm(after)):
        return False
    scores, weights = zip(*(_find_blocks(*pair) for pair in ((before, after), (after, before))), strict=True)
    weight = np.concatenate(weights)
    if float(weight.mean()) < _LEAST_STRUCTURE:
        return False
    return float((np.concatenate(scores) * weight).sum() / weight.sum()) < _LEAST_FOUND


def _shrink(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Logarithms of the grey levels of a small copy, less their blur: (36, 64) float32."""
    # Every output pixel is the mean of four samples: an exact mean of large frames takes many times as long.
    sampled = cv2.resize(frame, (2 * _WIDTH, 2 * _HEIGHT), interpolation=cv2.INTER_LINEAR)
    grey = cv2.cvtColor(cv2.resize(sampled, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
    light = np.log(grey.astype(np.float32) + _DARK)
    return np.asarray(light - cv2.blur(light, _BLUR), np.float32)


def _find_blocks(
    blocks: NDArray[np.float32], other: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The best correlation of each of b blocks of one small frame in the other, and its weight: two (b,) arrays."""
    (width, height), (right, down) = _BLOCK, _REACH
    wide = cv2.copyMakeBorder(other, down, down, right, right, cv2.BORDER_REFLECT)
    scores, weights = [], []
    for y in range(0, _HEIGHT, height):
        for x in range(0, _WIDTH, width):
            block = blocks[y : y + height, x : x + width]
            weights.append(max(float(block.std()) - _NOISE, 0.0))
            if weights[-1] == 0:
                scores.append(0.0)
                continue
            around = wide[y : y + height + 2 * down, x : x + width + 2 * right]
            found = cv2.matchTemplate(around, block, cv2.TM_CCOEFF_NORMED)
            scores.append(float(np.nan_to_num(found, posinf=0, neginf=0).max()))
    return np.array(scores), np.array(weights)
