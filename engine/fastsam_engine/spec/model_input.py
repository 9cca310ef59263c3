"""Describe the inputs of a model: images, tokens, another graph's features, or arrays of several kinds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Resize = Literal["letterbox", "shortest-edge", "stretch"]
Interpolation = Literal["bilinear", "bicubic"]


@dataclass(frozen=True, slots=True)
class ImageInput:
    """An input that takes images.

    An image becomes `(resized_rgb * scale - mean) / std` in `layout` and `dtype`.

    Attributes:
        name: Name in the graph.
        height, width: Default size, px.
        size_multiple: Height and width may be any multiple of this; None: they are fixed.
        resize: `letterbox` keeps the aspect ratio and pads evenly; `shortest-edge` scales the shorter side to the
            input's and crops the centre; `stretch` fills the input, ignoring the aspect ratio.
        interpolation: Kernel of the resize.
        antialias: Whether the kernel widens when shrinking, as Pillow's does.
        pad_value: Grey level (0 to 255) of the padding.
        colour: Order of the channels.
        scale: Factor from 0..255 to the model's range.
        mean, std: Per channel, after `scale`.
        layout, dtype: Of the graph's input array.
        batch: Smallest and largest number of images; None: no upper bound.
    """

    name: str
    height: int
    width: int
    size_multiple: int | None
    resize: Resize
    interpolation: Interpolation
    antialias: bool
    pad_value: int
    colour: Literal["RGB", "BGR"]
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    dtype: Literal["float32", "float16", "uint8"] = "float32"
    batch: tuple[int, int | None] = (1, None)
    kind: Literal["image"] = "image"


@dataclass(frozen=True, slots=True)
class TokenInput:
    """An input that takes token ids, int64 `(n, length)`.

    Attributes:
        name: Name in the graph.
        length: Tokens per text, with padding; longer texts are truncated and keep their end-of-text token.
        pad_id: Id of the padding.
        batch: Smallest and largest number of texts; None: no upper bound.
    """

    name: str
    length: int
    pad_id: int
    dtype: Literal["int64"] = "int64"
    batch: tuple[int, int | None] = (1, None)
    kind: Literal["tokens"] = "tokens"


@dataclass(frozen=True, slots=True)
class FeatureInput:
    """Inputs that are outputs of another graph of the same model.

    Attributes:
        names: Names in the graph, the same as those of the other graph's outputs.
        layouts: Axes per input, such as `1 K 256`; a number is fixed, a letter is free.
        dtype: Of all inputs.
    """

    names: tuple[str, ...]
    layouts: tuple[str, ...]
    dtype: Literal["float32", "float16"] = "float32"
    kind: Literal["features"] = "features"


@dataclass(frozen=True, slots=True)
class ArraysInput:
    """Inputs of several kinds, for helper graphs and for graphs that compute a part of a network.

    Attributes:
        names: Names in the graph.
        layouts: Axes per input, such as `H W 3`; a number is fixed, a letter is free.
        dtypes: Per input.
        axes: Letter to its smallest, usual and largest length, for builds that need a range.
    """

    names: tuple[str, ...]
    layouts: tuple[str, ...]
    dtypes: tuple[Literal["float32", "float16", "uint8", "int64"], ...]
    axes: Mapping[str, tuple[int, int, int]]
    kind: Literal["arrays"] = "arrays"
