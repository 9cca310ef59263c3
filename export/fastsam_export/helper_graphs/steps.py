"""Steps that several helper graphs share: interpolation, rounding to grey levels, normalisation."""

from __future__ import annotations

import numpy as np

from fastsam_engine.spec.model_input import ImageInput
from fastsam_export.helper_graphs.graph_builder import GraphBuilder


def interpolated(graph: GraphBuilder, values: str, places: str, axis: int, rank: int) -> str:
    """Interpolate linearly along one axis.

    Args:
        graph: The graph to add nodes to.
        values: float32 of any shape.
        places: (n,) float32, positions along the axis, from 0 to its length - 1.
        axis: The axis; its length becomes n.
        rank: Number of axes of the values.
    """
    first = graph.Floor(places)
    fraction = graph.Reshape(graph.Sub(places, first), [-1] + [1] * (rank - 1 - axis))
    low = graph.Gather(values, graph.cast(first, "int64"), axis=axis)
    high = graph.Gather(values, graph.cast(graph.Ceil(places), "int64"), axis=axis)
    return graph.Add(low, graph.Mul(graph.Sub(high, low), fraction))


def whole_levels(graph: GraphBuilder, values: str) -> str:
    """Round to whole grey levels, 0 to 255, as uint8 pictures have."""
    return graph.Clip(graph.Round(values), 0.0, 255.0)


def normalised(graph: GraphBuilder, pictures: str, image: ImageInput) -> str:
    """Convert BGR pictures (n, 3, h, w), float32 grey levels, to the colour order and range of a model's input."""
    if image.colour == "RGB":
        pictures = graph.Gather(pictures, [2, 1, 0], axis=1)
    std = np.asarray(image.std, np.float32)[:, None, None]
    shift = -np.asarray(image.mean, np.float32)[:, None, None] / std
    scaled = graph.Mul(pictures, np.float32(image.scale) / std)
    return graph.Add(scaled, shift) if shift.any() else scaled
