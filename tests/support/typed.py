"""Values whose type a test knows better than their annotation says: each is checked, and typed as what it is."""

from __future__ import annotations

import re
from os import PathLike
from types import SimpleNamespace
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_engine import ModelSpec
from fastsam_engine.spec.model_input import ArraysInput, ImageInput, TokenInput

_Value = TypeVar("_Value")


def present(value: _Value | None) -> _Value:
    """Return a value that must not be None."""
    assert value is not None
    return value


def image_input(spec: ModelSpec) -> ImageInput:
    """Return the input of a model that takes pictures."""
    assert isinstance(spec.input, ImageInput)
    return spec.input


def token_input(spec: ModelSpec) -> TokenInput:
    """Return the input of a model that takes texts."""
    assert isinstance(spec.input, TokenInput)
    return spec.input


def arrays_input(spec: ModelSpec) -> ArraysInput:
    """Return the input of a graph that takes arrays of several kinds."""
    assert isinstance(spec.input, ArraysInput)
    return spec.input


def picture(path: str | PathLike[str], flags: int = cv2.IMREAD_COLOR) -> NDArray[Any]:
    """Read a picture, (H, W, 3) uint8 BGR unless the flags say otherwise; it must be one."""
    image = cv2.imread(str(path), flags)
    assert image is not None, f"{path} is no picture"
    return np.asarray(image)


def full_match(pattern: str, text: str) -> re.Match[str]:
    """Match all of a text; it must match."""
    match = re.fullmatch(pattern, text)
    assert match is not None, f"{text!r} is not {pattern!r}"
    return match


def double(**attributes: Any) -> Any:
    """Return an object with these attributes only, to stand in for one of any class."""
    return SimpleNamespace(**attributes)
