"""ImageLike: what a caller may pass as an image; arrays, PIL images and tensors as frames.

Neither Pillow nor a tensor library is imported here: a PIL image can only exist where Pillow is loaded, and tensors
are read through DLPack (https://dmlc.github.io/dlpack/latest/python_spec.html).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, Union, get_args

import numpy as np
from numpy.typing import NDArray

from fastsam_engine.errors import one_line
from fastsam_trt.errors import ImageFormatError, ImageTypeError, OptionError, TensorFormatError
from fastsam_trt.frames.image import ColourOrder, as_bgr
from fastsam_trt.frames.pillow_reader import check_size, pixels_of

if TYPE_CHECKING:
    from PIL.Image import Image

_CHANNELS = (1, 3, 4)
_HOST_MEMORY = frozenset({1, 3, 11, 13})  # DLDeviceType: CPU, pinned by CUDA or ROCm, managed by CUDA
_DEVICES = {2: "CUDA", 4: "OpenCL", 7: "Vulkan", 8: "Metal", 10: "ROCm", 14: "oneAPI"}


class Tensor(Protocol):
    """A tensor of any library that speaks DLPack: PyTorch, JAX, CuPy and others."""

    def __dlpack__(self, *args: Any, **kwargs: Any) -> Any: ...

    def __dlpack_device__(self) -> tuple[Any, Any]: ...


ImageLike: TypeAlias = Union[str, os.PathLike[str], NDArray[Any], "Image", Tensor]
"""An image: a path or HTTP address, a NumPy array, a PIL image, or a tensor on the host."""


def as_frame(image: Any, colours: ColourOrder | None = None) -> NDArray[np.uint8]:
    """Convert an image in memory to a frame.

    Args:
        image: A NumPy array, see `as_bgr`; a PIL image, whose pixels are used as they are (EXIF orientation is not
            applied, so boxes are in pixels of the image that the caller has); or a tensor on the host with one image,
            (C, H, W) or (H, W, C) with 1, 3 or 4 channels, or (H, W), of the dtypes of `as_bgr`.
        colours: The order of the colours of arrays and tensors, `bgr` or `rgb`. None: arrays are BGR, as OpenCV reads
            images, and tensors RGB, as torchvision does. The order of a PIL image is known, and this is ignored.

    Returns:
        (H, W, 3) uint8 BGR, contiguous; the image itself if it already is that.

    Raises:
        ImageTypeError: It is none of these.
        ImageFormatError: Its shape, dtype, range or memory is not supported, or its layout has two meanings.
        ImageSizeError: A PIL image has more than 200 million pixels.
        OptionError: `colours` is unknown.
    """
    if colours is not None and colours not in get_args(ColourOrder):
        raise OptionError("colours", " or ".join(get_args(ColourOrder)), colours)
    if isinstance(image, np.ndarray):
        return as_bgr(image, colours)
    pillow = sys.modules.get("PIL.Image")
    if pillow is not None and isinstance(image, pillow.Image):
        return _from_pillow(image)
    if hasattr(image, "__dlpack__") and hasattr(image, "__dlpack_device__"):
        return _from_tensor(image, colours or "rgb")
    name = type(image).__name__
    several = "for several images, pass a list of them" if isinstance(image, Iterable) else ""
    raise ImageTypeError(name, _TYPE_FIXES.get(name, several))


_TYPE_FIXES = {
    "list": "pass one image here",
    "tuple": "pass one image here",
    "Result": "pass its frame: pipeline(result.frame)",
    "BufferedReader": "pass its path, or PIL.Image.open(file)",
    "BytesIO": "pass PIL.Image.open(file)",
    "int": "a camera is read by pipeline.stream(number)",
    "bytes": "for the bytes of an image file, use PIL.Image.open(io.BytesIO(data))",
    "Frame": "pass its image: pipeline(frame.image)",
    "VideoFrame": 'use frame.to_ndarray(format="bgr24")',
    "EagerTensor": "use tensor.numpy()",
    "UMat": "use image.get()",
    "NoneType": "cv2.imread returns None for a file that it can't read; pass the path instead",
}


def _from_pillow(image: Image) -> NDArray[np.uint8]:
    check_size(str(getattr(image, "filename", "")) or "a PIL image", *image.size)
    try:
        image.load()
        if image.mode.startswith("I;16"):
            return as_bgr(np.asarray(image).astype(np.uint16))
        if image.mode in {"F", "I"}:
            return as_bgr(np.asarray(image))
        return as_bgr(pixels_of(image))
    except (OSError, ValueError, SyntaxError) as error:
        if isinstance(error, ImageFormatError):
            raise
        raise ImageFormatError(f"a PIL image of mode {image.mode} that can't be read ({one_line(error)})") from error


def _from_tensor(tensor: Tensor, colours: ColourOrder) -> NDArray[np.uint8]:
    try:
        kind, number = (int(each) for each in tensor.__dlpack_device__())
        array = np.from_dlpack(tensor) if kind in _HOST_MEMORY else None
    except Exception as error:  # each library has its own; the message names what it does not support
        found = f"a {type(tensor).__name__} that NumPy can't read ({one_line(error)})"
        fix = "use tensor.float()" if "bfloat16" in str(getattr(tensor, "dtype", "")) else ""
        raise TensorFormatError(found, fix) from error
    if array is None:
        found = f"one on {_DEVICES.get(kind, f'a device of kind {kind}')} device {number}"
        raise TensorFormatError(found, "copy it to the host: tensor.cpu()")
    channels_last = _channels_last(array)
    try:
        return as_bgr(channels_last, colours)
    except ImageFormatError as error:
        shape = f"shape {array.shape}"
        found = shape if error.found.startswith("shape") else f"{shape}, {error.found}"
        raise TensorFormatError(found, error.fix) from error


def _channels_last(array: NDArray[Any]) -> NDArray[Any]:
    """A tensor of one image with its channels last.

    Raises:
        TensorFormatError: Both or neither of its first and last axis may be channels, or it is a batch.
    """
    if array.ndim == 2:
        return array
    if array.ndim == 4:
        raise TensorFormatError(f"a batch of shape {array.shape}", "pass a list of images: list(batch)")
    first, last = (array.ndim == 3 and array.shape[axis] in _CHANNELS for axis in (0, -1))
    if first and last:
        fix = "pass tensor.permute(1, 2, 0).numpy() for channels first, or tensor.numpy() for channels last"
        raise TensorFormatError(f"shape {array.shape}, where both the first and the last axis may be channels", fix)
    if not first and not last:
        raise TensorFormatError(f"shape {array.shape}")
    return array.transpose(1, 2, 0) if first else array
