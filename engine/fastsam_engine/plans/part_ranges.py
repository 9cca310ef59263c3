"""Fit the axes of heads and masks graphs to the images that a plan of their trunk takes."""

from __future__ import annotations

import re
from collections.abc import Mapping

from fastsam_engine.spec.model_spec import ModelSpec

Axes = dict[str, tuple[int, int, int]]
"""Letter to its smallest, usual and largest length."""

_OF_A_LEVEL = re.compile(r"([A-Za-z])([0-9]+)")


def part_axes(
    spec: ModelSpec,
    axes: Mapping[str, tuple[int, int, int]],
    batch: tuple[int, int] | None,
    imgsz: tuple[int, int] | None,
) -> Axes:
    """The lengths that a plan of heads or masks shall support.

    A level of stride `s` has the axes `h<s>` and `w<s>` of its map, `k<s>`, `y<s>` and `x<s>` of its patches, and
    `m<s>` of the anchors that are picked from them. `y` and `x` are rows and columns of the finest map.

    Args:
        spec: Of the graph.
        axes: The lengths that the file states.
        batch: Usual and largest number of images; None: as the file states.
        imgsz: (height, width) px of all images; None: any that the file states.
    """
    found = dict(axes)
    if batch is not None and "N" in found:
        found["N"] = (found["N"][0], *batch)
    if imgsz is None:
        return found
    ring = 2 * int(spec.defaults["reach_cells"])
    strides = sorted({int(match[2]) for match in map(_OF_A_LEVEL.fullmatch, axes) if match})
    for stride in strides:
        height, width = (px // stride for px in imgsz)
        exact = {"h": height, "w": width}
        largest = {"y": height + ring, "x": width + ring, "m": height * width}
        for letter, length in exact.items():
            found[f"{letter}{stride}"] = (length, length, length)
        for letter, length in largest.items():
            found[f"{letter}{stride}"] = _up_to(found[f"{letter}{stride}"], length)
    for letter, px in zip("yx", imgsz, strict=True):
        if letter in found:
            found[letter] = _up_to(found[letter], px // strides[0])
    return found


def _up_to(lengths: tuple[int, int, int], largest: int) -> tuple[int, int, int]:
    """Lengths with another largest one; the others do not exceed it."""
    smallest, usual, _ = lengths
    return min(smallest, largest), min(usual, largest), largest
