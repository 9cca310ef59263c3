"""Check arrays against the inputs that a model's spec declares."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from fastsam_engine.device_array import Array, DeviceArray
from fastsam_engine.errors import InputMismatchError
from fastsam_engine.spec.model_input import ArraysInput, FeatureInput, ImageInput
from fastsam_engine.spec.model_spec import ModelSpec


def check_inputs(spec: ModelSpec, inputs: Mapping[str, Array | DeviceArray]) -> None:
    """Compare arrays with what a graph takes.

    Raises:
        InputMismatchError: A name, dtype or shape does not fit.
    """
    expected, names = spec.input, spec.input_names
    if inputs.keys() != set(names):
        wanted = "this one input" if len(names) == 1 else f"the inputs {', '.join(names)}"
        raise InputMismatchError(names[0], wanted, ", ".join(inputs) or "none")
    if isinstance(expected, FeatureInput | ArraysInput):
        lengths: dict[str, int] = {}
        for name, layout, dtype in zip(names, expected.layouts, spec.input_dtypes, strict=True):
            _check_axes(name, layout, dtype, inputs[name], lengths)
        return
    array = inputs[expected.name]
    if array.dtype != np.dtype(expected.dtype):
        raise InputMismatchError(expected.name, expected.dtype, str(array.dtype))
    if isinstance(expected, ImageInput):
        shape, fits = _image_shape(expected), _fits_image(expected, array.shape)
    else:
        shape, fits = f"(n, {expected.length})", len(array.shape) == 2 and array.shape[1] == expected.length
    low, high = expected.batch
    if not fits or array.shape[0] < low or (high is not None and array.shape[0] > high):
        raise InputMismatchError(expected.name, f"shape {shape} with {low} <= n <= {high or 'any'}", str(array.shape))


def image_size_text(image: ImageInput, shape: tuple[int, ...]) -> str:
    """A shape of images in words, such as `384 x 640` or `384 x 640 in batches`; a batch of -1 means any."""
    count, *axes = shape
    height, width = axes[1:] if image.layout == "NCHW" else axes[:2]
    batches = {1: "", -1: " in batches"}.get(count, f" in batches of {count}")
    return f"{height} x {width}{batches}"


def _check_axes(name: str, layout: str, dtype: str, array: Array | DeviceArray, lengths: dict[str, int]) -> None:
    """Compare an array with its layout. `lengths` collects what each letter stands for, the same for all inputs."""
    axes = _axes(layout)
    if array.dtype != np.dtype(dtype):
        raise InputMismatchError(name, dtype, str(array.dtype))
    fits = len(axes) == len(array.shape) and all(
        length == (int(axis) if axis.isdigit() else lengths.setdefault(axis, length))
        for axis, length in zip(axes, array.shape, strict=True)
    )
    if not fits:
        known = ", ".join(f"{lengths[axis]} ({axis})" if axis in lengths else axis for axis in axes)
        raise InputMismatchError(name, f"shape ({known})", str(array.shape))


@lru_cache(maxsize=256)
def _axes(layout: str) -> tuple[str, ...]:
    """The axes of a layout; split once, since inputs are checked for every run."""
    return tuple(layout.split())


def _image_shape(image: ImageInput) -> str:
    fixed = image.size_multiple is None
    height, width = (str(image.height), str(image.width)) if fixed else ("h", "w")
    axes = f"3, {height}, {width}" if image.layout == "NCHW" else f"{height}, {width}, 3"
    return f"(n, {axes})" + ("" if fixed else f" with h and w multiples of {image.size_multiple}")


def _fits_image(image: ImageInput, shape: tuple[int, ...]) -> bool:
    if len(shape) != 4:
        return False
    channels, height, width = shape[1:] if image.layout == "NCHW" else (shape[3], *shape[1:3])
    if image.size_multiple is None:
        return (channels, height, width) == (3, image.height, image.width)
    multiples = height % image.size_multiple == 0 and width % image.size_multiple == 0
    return channels == 3 and min(height, width) > 0 and multiples
