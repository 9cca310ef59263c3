"""Lists of images in one call: how they are told from one image, and which of them an error is about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeGuard

import numpy as np

from fastsam_trt.errors import ImageFormatError, OptionError
from fastsam_trt.frames.image_like import ImageLike
from fastsam_trt.results.result import Result


def is_several(frame: ImageLike | Sequence[ImageLike]) -> TypeGuard[Sequence[ImageLike]]:
    """Whether a call got a sequence of images instead of one image."""
    if isinstance(frame, np.ndarray):  # first, since the fastest calls pass arrays
        return False
    return isinstance(frame, Sequence) and not isinstance(frame, str | bytes | bytearray | memoryview)


def result_of_each(images: Sequence[ImageLike], process: Callable[[ImageLike], Result]) -> list[Result]:
    """The result of each image, in order.

    Args:
        images: The images, of any kinds and sizes.
        process: Returns the result of one image.

    Raises:
        ImageFormatError: An item is no supported image; the message says which.
    """
    results = []
    for index, image in enumerate(images):
        try:
            results.append(process(image))
        except ImageFormatError as error:
            raise type(error)(f"{error.found} at index {index} of the list", error.fix) from error
    return results


def check_no_times(captured_s: float | None, media_s: float | None) -> None:
    """Refuse the time of one frame for a list of images.

    Raises:
        OptionError: A time was given.
    """
    for name, time_s in (("captured_s", captured_s), ("media_s", media_s)):
        if time_s is not None:
            raise OptionError(name, "no time for a list of images", time_s, "pass the frames one by one")
