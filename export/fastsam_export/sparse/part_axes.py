"""Describe the inputs of the heads and masks graphs: names, axes, dtypes and ranges of lengths."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal, TypeAlias

from fastsam_engine.spec.model_input import ArraysInput, ImageInput
from fastsam_export.sparse.branches import Level

_USUAL_PATCHES = 16
_USUAL_TILE = 8  # cells along an axis of the tiles whose prototypes are computed
_USUAL_TILES = 8
_LARGEST_BATCH = 8  # of models that take any number of images

Axes: TypeAlias = Mapping[str, tuple[int, int, int]]
"""Letter to its smallest, usual and largest length."""


def arrays(*ports: tuple[str, str, Literal["float32", "int64"]]) -> ArraysInput:
    """Inputs of the given names, layouts and dtypes, without lengths of their axes."""
    return ArraysInput(
        tuple(name for name, _, _ in ports),
        tuple(layout for _, layout, _ in ports),
        tuple(dtype for _, _, dtype in ports),
        {},
    )


def joined(first: ArraysInput, second: ArraysInput, axes: Axes) -> ArraysInput:
    """The inputs of both, with further lengths of axes."""
    return dataclasses.replace(
        first,
        names=first.names + second.names,
        layouts=first.layouts + second.layouts,
        dtypes=first.dtypes + second.dtypes,
        axes={**first.axes, **second.axes, **axes},
    )


def patches_of(image: ImageInput, level: Level, reach: int) -> tuple[ArraysInput, Axes]:
    """The inputs of a level for patches that reach some cells around an anchor, and the lengths of their axes."""
    s, side = level.stride, 2 * reach + 1
    taken = arrays(
        (f"features_{s}", f"N h{s} w{s} {level.channels}", "float32"),
        (f"cells_{s}", f"k{s} y{s} x{s}", "int64"),
        (f"inside_{s}", f"k{s} y{s} x{s}", "float32"),
        (f"picks_{s}", f"m{s}", "int64"),
    )
    axes = map_axes(image, s)
    (_, rows, most_rows), (_, columns, most_columns) = axes[f"h{s}"], axes[f"w{s}"]
    most = max(1, rows * columns // side**2)  # more patches cost more than the whole map
    return taken, {
        **axes,
        f"k{s}": (1, min(_USUAL_PATCHES, most), most),
        f"m{s}": (1, min(_USUAL_PATCHES, most), most_rows * most_columns),
        f"y{s}": (side, side, most_rows + 2 * reach),
        f"x{s}": (side, side, most_columns + 2 * reach),
    }


def map_axes(image: ImageInput, stride: int) -> Axes:
    """Numbers of images, and of rows and columns of a feature map."""
    low, high = image.batch
    rows, columns = image.height // stride, image.width // stride
    axes = {"N": (low, low, max(low, _LARGEST_BATCH if high is None else high))}
    if image.size_multiple is None:
        return {**axes, f"h{stride}": (rows,) * 3, f"w{stride}": (columns,) * 3}
    least = image.size_multiple // stride
    return {**axes, f"h{stride}": (least, rows, 2 * rows), f"w{stride}": (least, columns, 2 * columns)}


def tiles_of(image: ImageInput, stride: int, margin: int) -> tuple[ArraysInput, Axes]:
    """The inputs for tiles of a feature map with a margin around each, and the lengths of their axes."""
    taken = arrays(("tile_cells", "k y x", "int64"), ("tile_inside", "k y x", "float32"))
    axes = map_axes(image, stride)
    around = 2 * margin
    tiles = {
        letter: (
            1 + around,
            min(_USUAL_TILE, axes[f"{whole}{stride}"][1]) + around,
            axes[f"{whole}{stride}"][2] + around,
        )
        for letter, whole in (("y", "h"), ("x", "w"))
    }
    usual, largest = (axes[f"h{stride}"][i] * axes[f"w{stride}"][i] for i in (1, 2))
    most = max(1, usual // _USUAL_TILE**2)  # more tiles cost more than the whole map
    return taken, {**tiles, "k": (1, min(_USUAL_TILES, most), max(1, largest // _USUAL_TILE**2))}
