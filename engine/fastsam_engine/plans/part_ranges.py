"""Fit the axes of heads and masks graphs to the images that a plan of their trunk takes, and to what plans can hold."""

from __future__ import annotations

from collections.abc import Mapping

from fastsam_engine.spec.model_input import ArraysInput
from fastsam_engine.spec.model_spec import ModelSpec

Lengths = tuple[int, int, int]
"""The smallest, the usual and the largest length of an axis."""

_MOST_ELEMENTS = (1 << 31) - 1  # of a tensor of a plan
_LEAST_CHANNELS = 64  # of the tensors inside the heads, which may have more than the features


def part_axes(
    spec: ModelSpec, given: ArraysInput, batch: tuple[int, int] | None, imgsz: tuple[int, int] | None
) -> dict[str, Lengths]:
    """The lengths that a plan of heads or masks shall support, by the letter of their axis.

    A level of stride `s` has the axes `h<s>` and `w<s>` of its map, `k<s>`, `y<s>` and `x<s>` of its patches, and
    `m<s>` of the anchors that are picked from them. `k`, `y` and `x` are number, rows and columns of the tiles of the
    finest map, with their margin, which may lie outside the map. A plan takes one tile, of any size: on a device
    that costs less than many small ones, whose largest number of the largest size would need gigabytes.

    A plan supports the largest lengths of all axes at once, though callers never have the most patches of a whole level
    each. If that would be too large, the plan takes images of the usual size at most, then fewer patches.

    Args:
        spec: Of the graph.
        given: Its inputs.
        batch: Usual and largest number of images; None: as the file states.
        imgsz: (height, width) px of all images; None: any that the file states.
    """
    axes = dict(given.axes)
    if batch is not None and "N" in axes:
        axes["N"] = (axes["N"][0], *batch)
    ring = 2 * int(spec.defaults["reach_cells"])
    layouts = {name: layout.split() for name, layout in zip(given.names, given.layouts, strict=True)}
    strides = [int(name.removeprefix("cells_")) for name in layouts if name.startswith("cells_")]
    for stride in strides:
        if imgsz is not None:
            _fix_size(axes, stride, (imgsz[0] // stride, imgsz[1] // stride), ring)
        most = _MOST_ELEMENTS // max(int(layouts[f"features_{stride}"][3]), _LEAST_CHANNELS)
        if _cells(axes, stride) > most:
            _limit_size(axes, stride, (axes[f"h{stride}"][1], axes[f"w{stride}"][1]), ring)
        if _cells(axes, stride) > most:
            patches = axes[f"k{stride}"][2] * most // _cells(axes, stride)
            axes[f"k{stride}"] = _up_to(axes[f"k{stride}"], max(1, patches))
    if "tile_cells" in layouts:
        axes["k"] = _up_to(axes["k"], 1)
        margin = 2 * int(spec.defaults["margin_cells"])
        for letter, whole in (("y", "h"), ("x", "w")):
            axes[letter] = _up_to(axes[letter], axes[f"{whole}{min(strides)}"][2] + margin)
    return axes


def _cells(axes: Mapping[str, Lengths], stride: int) -> int:
    """Cells in the largest patches of a level."""
    return axes[f"k{stride}"][2] * axes[f"y{stride}"][2] * axes[f"x{stride}"][2]


def _fix_size(axes: dict[str, Lengths], stride: int, size: tuple[int, int], ring: int) -> None:
    """Support a map of one size only, (rows, columns)."""
    for letter, length in zip("hw", size, strict=True):
        axes[f"{letter}{stride}"] = (length, length, length)
    _limit_size(axes, stride, size, ring)


def _limit_size(axes: dict[str, Lengths], stride: int, size: tuple[int, int], ring: int) -> None:
    """Support no larger map of a level than one of (rows, columns)."""
    height, width = size
    largest = {"h": height, "w": width, "y": height + ring, "x": width + ring, "m": height * width}
    for letter, length in largest.items():
        axes[f"{letter}{stride}"] = _up_to(axes[f"{letter}{stride}"], length)


def _up_to(lengths: Lengths, largest: int) -> Lengths:
    """Lengths with another largest one; the others do not exceed it."""
    smallest, usual, _ = lengths
    return min(smallest, largest), min(usual, largest), largest
