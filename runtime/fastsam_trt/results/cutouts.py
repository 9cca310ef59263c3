"""Cut-outs: segments lifted out of their frame, transparent around them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.masks.mask_source import MaskCrop


def cut_out(frame: NDArray[np.uint8], crop: MaskCrop) -> NDArray[np.uint8]:
    """Cut a mask out of a frame.

    Args:
        frame: (H, W, 3) uint8 BGR.
        crop: The mask inside its box.

    Returns:
        (h, w, 4) uint8 BGRA, of the crop's size: alpha is 255 on the mask, all is 0 beside it.
    """
    left, top, pixels = crop
    height, width = pixels.shape
    picture = np.full((height, width, 4), 255, np.uint8)
    picture[..., :3] = frame[top : top + height, left : left + width]
    picture[~pixels] = 0
    return picture
