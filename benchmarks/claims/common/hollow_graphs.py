"""Graphs without the weights that another file holds: CLIP's towers are 600 MB, nearly all of it its checkpoint's.

`hollow` takes every large initializer out of a graph whose values the checkpoint has, transposed or in another
precision, and `fill` puts them back. A graph filled with other weights of the same shapes is that model's graph.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_KEY = "benchmark.weights"
_LEAST_BYTES = 4096
Weights = Mapping[str, NDArray[Any]]


def hollow(graph: Path, weights: Weights, to: Path) -> float:
    """Write a graph without what the weights hold.

    Args:
        graph: An ONNX file.
        weights: Name to array, of the checkpoint.
        to: File to write.

    Returns:
        The part of the bytes of its initializers that went, 0..1.
    """
    import onnx
    from onnx import numpy_helper

    model = onnx.load(str(graph))
    by_shape: dict[tuple[int, ...], list[str]] = {}
    for name, array in weights.items():
        by_shape.setdefault(tuple(sorted(array.shape)), []).append(name)
    taken: dict[str, tuple[str, bool]] = {}
    total = gone = 0
    for initializer in model.graph.initializer:
        array = numpy_helper.to_array(initializer)
        total += array.nbytes
        if array.nbytes < _LEAST_BYTES or array.dtype.kind != "f":
            continue
        for name in by_shape.get(tuple(sorted(array.shape)), ()):
            turned = _turned(array, weights[name])
            if turned is not None:
                taken[initializer.name] = name, turned
                gone += array.nbytes
                initializer.ClearField("raw_data")
                break
    model.metadata_props.add(key=_KEY, value=json.dumps(taken))
    onnx.save(model, str(to))
    return gone / max(total, 1)


def fill(hollowed: Path, weights: Weights, to: Path) -> None:
    """Write the whole graph.

    Args:
        hollowed: What `hollow` wrote.
        weights: Name to array, as they were given there, or others of the same shapes.
        to: File to write.

    Raises:
        ValueError: A weight is missing or has another shape.
    """
    import onnx
    from onnx import helper

    model = onnx.load(str(hollowed))
    props = {each.key: each.value for each in model.metadata_props}
    taken: dict[str, tuple[str, bool]] = json.loads(props.pop(_KEY, "{}"))
    for initializer in model.graph.initializer:
        if initializer.name not in taken:
            continue
        name, turned = taken[initializer.name]
        if name not in weights:
            raise ValueError(f"expected weights with {name}, found none of that name")
        array = weights[name].T if turned else weights[name]
        if array.shape != tuple(initializer.dims):
            raise ValueError(f"expected {name} of shape {tuple(initializer.dims)}, found {array.shape}")
        dtype = helper.tensor_dtype_to_np_dtype(initializer.data_type)
        initializer.raw_data = np.ascontiguousarray(array, dtype).tobytes()
    del model.metadata_props[:]
    for key, value in props.items():
        model.metadata_props.add(key=key, value=value)
    onnx.save(model, str(to))


def _turned(array: NDArray[Any], weight: NDArray[Any]) -> bool | None:
    """Whether an array is a weight transposed, in its own precision; None where it is another."""
    for turned, candidate in ((False, weight), (True, weight.T)):
        if candidate.shape == array.shape and np.array_equal(candidate.astype(array.dtype), array):
            return turned
    return None
