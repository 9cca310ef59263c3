"""The letterbox: where a frame lies in the model's input, and the mapping back to the frame.

Where the aspect ratio is kept, the geometry is that of ultralytics' LetterBox: sides are rounded to whole pixels,
padding is split evenly with the odd pixel at the bottom right, and the input is a rectangle instead of the square where
the model allows it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastsam_engine.spec.model_input import ImageInput
from fastsam_trt.errors import OptionError
from fastsam_trt.frames.rectangles import RECTANGLES, Rectangle, input_size, scaled


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Where a frame lies in the model's input. All in px; x to the right, y down.

    Attributes:
        frame_h, frame_w: Size of the frame.
        input_h, input_w: Size of the model's input.
        content_h, content_w: Size of the scaled frame in the input.
        top, left: Padding above the scaled frame and to its left.
    """

    frame_h: int
    frame_w: int
    input_h: int
    input_w: int
    content_h: int
    content_w: int
    top: int
    left: int

    @property
    def gain_y(self) -> float:
        """Input px per frame px, vertically."""
        return self.content_h / self.frame_h

    @property
    def gain_x(self) -> float:
        """Input px per frame px, horizontally."""
        return self.content_w / self.frame_w

    def boxes_to_frame(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map boxes from the model's input to the frame.

        Args:
            boxes: (n, 4) float32 xyxy, px of the model's input.

        Returns:
            (n, 4) float32 xyxy, px of the frame, clipped to it.
        """
        offset = np.array([self.left, self.top, self.left, self.top], np.float32)
        gain = np.array([self.gain_x, self.gain_y, self.gain_x, self.gain_y], np.float32)
        limit = np.array([self.frame_w, self.frame_h, self.frame_w, self.frame_h], np.float32)
        mapped: NDArray[np.float32] = np.clip((boxes - offset) / gain, 0, limit)
        return mapped


def fit(
    frame_h: int,
    frame_w: int,
    image: ImageInput,
    size: tuple[int, int] | None = None,
    rectangle: Rectangle = "smallest",
) -> Letterbox:
    """Fit a frame into a model's input.

    Args:
        frame_h, frame_w: Size of the frame, px.
        image: The model's input. With `resize` "stretch", the frame fills it. Otherwise, with a `size_multiple`, the
            input shrinks to a rectangle around the scaled frame, in multiples of it; without one, the frame is padded
            to the full size.
        size: (height, width) to fit into, px; None: the default size of the input.
        rectangle: Which rectangle the input shrinks to.

    Raises:
        OptionError: There is no such rectangle.
    """
    if rectangle not in RECTANGLES:
        raise OptionError("rectangle", " or ".join(RECTANGLES), rectangle)
    height, width = size = size or (image.height, image.width)
    if image.resize == "stretch":
        return Letterbox(frame_h, frame_w, height, width, content_h=height, content_w=width, top=0, left=0)
    content_h, content_w = content = scaled((frame_h, frame_w), size)
    if image.size_multiple:
        height, width = input_size(content, size, image.size_multiple, rectangle)
    return Letterbox(
        frame_h=frame_h,
        frame_w=frame_w,
        input_h=height,
        input_w=width,
        content_h=content_h,
        content_w=content_w,
        top=round((height - content_h) / 2 - 0.1),
        left=round((width - content_w) / 2 - 0.1),
    )
