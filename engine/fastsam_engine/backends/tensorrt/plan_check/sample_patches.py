"""Make sample inputs for heads and masks graphs: features, patches of their cells, and picked anchors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from fastsam_engine.device_array import Array
from fastsam_engine.plans.shape_ranges import ShapeRange
from fastsam_engine.spec.model_input import ArraysInput
from fastsam_engine.spec.model_spec import ModelSpec

_COARSE = 4  # side of the blocks in random features, cells

Lengths = Mapping[str, int]
"""Letter of an axis to its length."""


def sample_patches(spec: ModelSpec, given: ArraysInput, ranges: Mapping[str, ShapeRange]) -> Iterator[dict[str, Array]]:
    """Inputs for heads or masks: patches around anchors, also at the border, then every level as one whole patch.

    Both are needed, since a plan may choose other kernels for them. The largest number of patches of the largest size
    is not among them: no caller asks for it, and it can take gigabytes.

    Args:
        spec: Of the graph.
        given: Its inputs.
        ranges: The shapes that a plan of the graph supports.
    """
    layouts = dict(zip(given.names, given.layouts, strict=True))
    usual, largest = dict[str, int](), dict[str, int]()
    for name, layout in layouts.items():
        for index, axis in enumerate(layout.split()):
            usual[axis], largest[axis] = ranges[name].usual[index], ranges[name].largest[index]
    reach = int(spec.defaults["reach_cells"])
    samples = _Samples(given, reach)
    yield samples.inputs(usual)
    yield samples.inputs({**largest, "N": usual["N"], **_whole_levels(given, largest, reach)})


def _whole_levels(given: ArraysInput, largest: Lengths, reach: int) -> dict[str, int]:
    """Lengths that make one patch of every level."""
    lengths = dict[str, int]()
    for s in _strides(given):
        height = min(largest[f"h{s}"], largest[f"y{s}"] - 2 * reach)
        width = min(largest[f"w{s}"], largest[f"x{s}"] - 2 * reach)
        lengths |= {
            f"h{s}": height,
            f"w{s}": width,
            f"k{s}": 1,
            f"y{s}": height + 2 * reach,
            f"x{s}": width + 2 * reach,
        }
        lengths[f"m{s}"] = min(height * width, largest[f"m{s}"])
    return lengths


def _strides(given: ArraysInput) -> list[str]:
    return [name.removeprefix("cells_") for name in given.names if name.startswith("cells_")]


class _Samples:
    """Arrays for the inputs of a graph, all different."""

    def __init__(self, given: ArraysInput, reach: int) -> None:
        self._given = given
        self._reach = reach
        self._generator = np.random.default_rng(0)

    def inputs(self, lengths: Lengths) -> dict[str, Array]:
        """All inputs of a graph, in its order, for lengths of the axes."""
        arrays = dict[str, Array]()
        for s in _strides(self._given):
            arrays |= self._level(s, lengths)
        if "tile_cells" in self._given.names:
            arrays |= self._tile(lengths)
        ordered = dict[str, Array]()
        for name, layout, dtype in zip(self._given.names, self._given.layouts, self._given.dtypes, strict=True):
            if name not in arrays:  # features
                arrays[name] = self._features(tuple(_length(axis, lengths) for axis in layout.split()))
            ordered[name] = arrays[name].astype(dtype)
        return ordered

    def _level(self, s: str, lengths: Lengths) -> dict[str, Array]:
        """The patches of a level: cells, inside and picks."""
        height, width, count = lengths[f"h{s}"], lengths[f"w{s}"], lengths[f"k{s}"]
        rows, inside_rows = self._along(lengths[f"y{s}"], height, count)
        columns, inside_columns = self._along(lengths[f"x{s}"], width, count)
        image = self._generator.integers(0, lengths["N"], count)[:, None, None]
        inner = (lengths[f"y{s}"] - 2 * self._reach) * (lengths[f"x{s}"] - 2 * self._reach)
        return {
            f"cells_{s}": (image * height + rows[:, :, None]) * width + columns[:, None],
            f"inside_{s}": inside_rows[:, :, None] & inside_columns[:, None],
            f"picks_{s}": np.sort(self._generator.integers(0, count * inner, lengths[f"m{s}"])),
        }

    def _tile(self, lengths: Lengths) -> dict[str, Array]:
        """A tile in the middle of the finest map, with its margin."""
        finest = _strides(self._given)[0]
        height, width = lengths[f"h{finest}"], lengths[f"w{finest}"]
        (rows, inside_rows), (columns, inside_columns) = (
            _inside(np.arange(side) + (cells - side) // 2, cells)
            for side, cells in ((lengths["y"], height), (lengths["x"], width))
        )
        return {
            "tile_cells": (rows[:, None] * width + columns)[None],
            "tile_inside": (inside_rows[:, None] & inside_columns)[None],
        }

    def _along(self, side: int, cells: int, count: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Rows or columns of patches (count, side), at both borders of a map and between; and which are inside."""
        last = max(-self._reach, cells + self._reach - side)
        first = self._generator.integers(-self._reach, last + 1, count)
        first[:1], first[-1:] = -self._reach, last
        found = first[:, None] + np.arange(side)
        return _inside(found, cells)

    def _features(self, shape: tuple[int, ...]) -> Array:
        """Numbers around zero (n, h, w, c) that change slowly from cell to cell."""
        count, height, width, channels = shape
        coarse = self._generator.normal(size=(count, -(-height // _COARSE), -(-width // _COARSE), channels))
        slow = coarse.repeat(_COARSE, axis=1).repeat(_COARSE, axis=2)[:, :height, :width]
        return np.asarray(slow + 0.3 * self._generator.normal(size=shape))


def _inside(found: NDArray[np.int64], cells: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Rows or columns moved into a map of so many cells, and which of them were inside."""
    return found.clip(0, cells - 1), (found >= 0) & (found < cells)


def _length(axis: str, lengths: Lengths) -> int:
    return int(axis) if axis.isdigit() else lengths[axis]
