"""The inputs that a model may take: images, tokens, another graph's features, or arrays of several kinds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Resize = Literal["letterbox", "shortest-edge", "stretch"]
Interpolation = Literal["bilinear", "bicubic"]


@dataclass(frozen=True, slots=True)
class ImageInput:
    """An input that takes pictures.

    A picture becomes `(resized_rgb * scale - mean) / std` in `layout` and `dtype`.

    Attributes:
        name: Name in the graph.
        height, width: Default size, px.
        size_multiple: Height and width may be any multiple of this; None: they are fixed.
        resize: `letterbox` keeps the aspect ratio and pads evenly; `shortest-edge` scales the shorter side to the
            input's and cuts the middle out; `stretch` fills the input, whatever the aspect ratio.
        interpolation: Kernel of the resize.
        antialias: Whether the kernel widens when shrinking, as Pillow's does.
        pad_value: Grey level (0 to 255) of the padding.
        colour: Order of the channels.
        scale: Factor from 0..255 to the model's range.
        mean, std: Per channel, after `scale`.
        layout, dtype: Of the array that the graph takes.
        batch: Smallest and largest number of pictures; None: no upper bound.
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
        length: Tokens a text, padding included; longer texts are cut and keep their end-of-text token.
        pad_id: Id that fills a short text.
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
    """Inputs that another graph of the same model gives.

    Attributes:
        names: Names in the graph; the giving graph calls them the same.
        layouts: Axes of each, such as `1 K 256`; a number is fixed, a letter is not.
        dtype: Of all of them.
    """

    names: tuple[str, ...]
    layouts: tuple[str, ...]
    dtype: Literal["float32", "float16"] = "float32"
    kind: Literal["features"] = "features"


@dataclass(frozen=True, slots=True)
class ArraysInput:
    """Inputs of several kinds, as a helper graph takes them.

    Attributes:
        names: Names in the graph.
        layouts: Axes of each, such as `H W 3`; a number is fixed, a letter is not.
        dtypes: Of each.
        axes: Letter to its smallest, usual and largest length, for what is built for a range of them.
    """

    names: tuple[str, ...]
    layouts: tuple[str, ...]
    dtypes: tuple[Literal["float32", "uint8", "int64"], ...]
    axes: Mapping[str, tuple[int, int, int]]
    kind: Literal["arrays"] = "arrays"
