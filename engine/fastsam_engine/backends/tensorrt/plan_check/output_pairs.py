"""Pair the outputs of two sessions, and measure differences of arrays and maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastsam_engine.device_array import Array
from fastsam_engine.spec.model_spec import ModelSpec, Output

_QUIET = 0.02  # lower limit for the change from cell to cell, as a part of all channels' root mean square
TINY = 1e-12
Metrics = dict[str, float]


@dataclass(frozen=True, slots=True)
class OutputPairs:
    """The outputs of two sessions for the same inputs.

    Attributes:
        spec: Of the graph.
        expected, found: Output name to array, from the reference and from the plan.
    """

    spec: ModelSpec
    expected: Mapping[str, Array]
    found: Mapping[str, Array]

    def pair(self, output: Output) -> tuple[Array, Array]:
        """The expected and the found array of an output."""
        return self.expected[output.name], self.found[output.name]


Comparison = Callable[[OutputPairs, Output], Metrics]


def compare_maps(pairs: OutputPairs, output: Output) -> Metrics:
    """Maps (n, c, h, w) or (n, h, w, c): the shift in cells that would cause the same error in a channel."""
    both = (channels_first(output, each) for each in pairs.pair(output))
    apart, shifted, power = (each.mean(axis=0) for each in map_errors(*both))
    least = max(_QUIET**2 * power.mean(), TINY)
    return {"shift_cells": float(np.sqrt(apart / np.maximum(shifted, least)).max())}


def has_channels_last(output: Output) -> bool:
    """Whether an output is a map whose layout ends with its channels, such as `N H/8 W/8 64`."""
    axes = output.layout.split()
    return len(axes) == 4 and axes[3].isdigit() and not axes[1].isdigit()


def channels_first(output: Output, array: Array) -> Array:
    """A map as (n, c, h, w), whichever its layout is; not copied."""
    return np.moveaxis(array, -1, 1) if has_channels_last(output) else array


def worsen(metrics: Metrics, **values: float) -> None:
    """Keep the larger value of each metric; NaN counts as infinite."""
    for name, value in values.items():
        metrics[name] = max(metrics.get(name, 0.0), np.inf if np.isnan(value) else float(value))


def wide(array: Array) -> NDArray[np.float32]:
    """An array as float32."""
    return np.asarray(array, np.float32)


def relative(expected: Array, found: Array) -> NDArray[np.float32]:
    """Root mean square of the difference along the last axis, relative to that of the expected array."""
    expected = wide(expected)
    apart = np.sqrt(np.square(expected - found).mean(axis=-1))
    size = np.sqrt(np.square(expected).mean(axis=-1))
    return np.asarray(apart / np.maximum(size, max(_QUIET * float(np.sqrt(np.square(size).mean())), TINY)))


def map_errors(expected: Array, found: Array) -> NDArray[np.float64]:
    """Mean squares per map of (n, c, h, w): its error, its change by a shift of one cell, its values."""
    squares = np.empty((3, *expected.shape[:2]))
    for index, pair in enumerate(zip(expected, found, strict=True)):  # one image at a time, since arrays are large
        a, b = map(wide, pair)
        shifted = [np.square(a - np.roll(a, 1, axis)).mean(axis=(1, 2)) for axis in (1, 2)]
        squares[:, index] = np.square(a - b).mean(axis=(1, 2)), np.min(shifted, axis=0), np.square(a).mean(axis=(1, 2))
    return squares
