"""Decoded frames to the images we work on: upright, BGR."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class _Turn:
    """What brings an image upright: a mirror image left to right, then quarter turns clockwise."""

    mirrored: bool
    quarters: int


_UPRIGHT = _Turn(mirrored=False, quarters=0)
_QUARTERS = {1: cv2.ROTATE_90_CLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_COUNTERCLOCKWISE}


class BgrConverter:
    """Converts decoded frames to BGR and turns them upright. It keeps swscale's tables from frame to frame."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()
        self._rotation: int | None = None
        self._turn = _UPRIGHT

    def convert(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """The image of a frame, by its own colour matrix and range; alpha is dropped.

        Returns:
            (H, W, 3) uint8 BGR, contiguous, as its display matrix says that it is to be shown.
        """
        bgr = self._reformatter.reformat(frame, format="bgr24", interpolation=Interpolation.BICUBIC, threads=1)
        image: NDArray[np.uint8] = bgr.to_ndarray()  # type: ignore[assignment]
        turn = self._find_turn(frame)
        if turn.mirrored:
            image = cv2.flip(image, 1)  # type: ignore[assignment]
        if turn.quarters:
            image = cv2.rotate(image, _QUARTERS[turn.quarters])  # type: ignore[assignment]
        return np.ascontiguousarray(image)

    def pixel_aspect(self, frame: VideoFrame, stored: Fraction | None) -> float:
        """Width of a pixel over its height in the image as it is shown.

        Args:
            frame: The frame.
            stored: The same as the stream has it, before it is turned; None or 0: square.
        """
        if not stored or stored <= 0:
            return 1.0
        return float(1 / stored if self._find_turn(frame).quarters % 2 else stored)

    def _find_turn(self, frame: VideoFrame) -> _Turn:
        # A frame that was asked for its side data is in a cycle with it, and stays until the garbage is collected.
        if frame.rotation != self._rotation:
            self._rotation = frame.rotation
            matrix = frame.side_data.get("DISPLAYMATRIX")
            self._turn = _UPRIGHT if matrix is None else _read_turn(np.frombuffer(bytes(cast("Any", matrix)), np.int32))
        return self._turn


def _read_turn(matrix: NDArray[np.int32]) -> _Turn:
    """Read a display matrix: nine numbers (ISO/IEC 14496-12, 6.2.2), of which four hold turn and mirror image.

    A stored pixel (x, y) is shown at (a x + c y, b x + d y). Turns that are no quarters are not made.
    """
    a, b, _, c, d, *_ = matrix.astype(float)
    largest = max(abs(a), abs(b), abs(c), abs(d))
    if not largest:
        return _UPRIGHT
    shown = tuple(round(each / largest) for each in (a, b, c, d))
    for mirrored in (False, True):
        x = -1 if mirrored else 1
        for quarters, (cosine, sine) in enumerate(((1, 0), (0, 1), (-1, 0), (0, -1))):
            if shown == (x * cosine, x * sine, -sine, cosine):
                return _Turn(mirrored, quarters)
    return _UPRIGHT
