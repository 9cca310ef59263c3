"""BgrConverter: convert decoded frames to upright BGR images."""

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
    """The way to turn an image upright: a horizontal flip, then quarter turns clockwise."""

    mirrored: bool
    quarters: int


_UPRIGHT = _Turn(mirrored=False, quarters=0)
_QUARTERS = {1: cv2.ROTATE_90_CLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_COUNTERCLOCKWISE}


class BgrConverter:
    """Converts decoded frames to BGR and turns them upright. It reuses swscale's tables across frames."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()
        self._rotation: int | None = None
        self._turn = _UPRIGHT

    def convert(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """The image of a frame, converted by the frame's colour matrix and range; alpha is dropped.

        Returns:
            (H, W, 3) uint8 BGR, contiguous, turned by the frame's display matrix.
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
        """Pixel aspect ratio of the upright image, width over height.

        Args:
            frame: The frame.
            stored: Pixel aspect ratio in the stream, before the image is turned; None or 0: square.
        """
        if not stored or stored <= 0:
            return 1.0
        return float(1 / stored if self._find_turn(frame).quarters % 2 else stored)

    def _find_turn(self, frame: VideoFrame) -> _Turn:
        # Reading side data puts the frame into a reference cycle, which lives until the garbage collector runs.
        if frame.rotation != self._rotation:
            self._rotation = frame.rotation
            matrix = frame.side_data.get("DISPLAYMATRIX")
            self._turn = _UPRIGHT if matrix is None else _read_turn(np.frombuffer(bytes(cast("Any", matrix)), np.int32))
        return self._turn


def _read_turn(matrix: NDArray[np.int32]) -> _Turn:
    """Read a display matrix: nine numbers (ISO/IEC 14496-12, 6.2.2), four of which encode rotation and flip.

    A stored pixel (x, y) is shown at (a x + c y, b x + d y). Rotations other than quarter turns are ignored.
    """
    a, b, _, c, d, *_ = matrix.astype(float)
    largest = max(abs(a), abs(b), abs(c), abs(d))
    if not largest:
        return _UPRIGHT
    shown = tuple(round(value / largest) for value in (a, b, c, d))
    for mirrored in (False, True):
        x = -1 if mirrored else 1
        for quarters, (cosine, sine) in enumerate(((1, 0), (0, 1), (-1, 0), (0, -1))):
            if shown == (x * cosine, x * sine, -sine, cosine):
                return _Turn(mirrored, quarters)
    return _UPRIGHT
