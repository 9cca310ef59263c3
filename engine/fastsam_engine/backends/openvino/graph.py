"""OpenVinoGraph: a graph that OpenVINO compiled, and the request that runs it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import numpy as np

from fastsam_engine.device_array import Array

if TYPE_CHECKING:
    import openvino

Ports = Mapping[str, tuple[tuple[int, ...], np.dtype[np.generic]]]


class OpenVinoGraph:
    """A compiled graph. Any thread may run it; it runs for one of them at a time, on all the threads it has.

    One request, not a pool of them: a graph that is compiled for latency has one stream, and requests wait for it. Two
    of them that took turns answered no faster than one.
    """

    def __init__(self, compiled: openvino.CompiledModel, outputs: Mapping[str, int], per_picture: Ports | None) -> None:
        """Make the request.

        Args:
            compiled: The graph.
            outputs: Names of the outputs that are wanted, and which they are.
            per_picture: Their shapes without the batch axis, and dtypes, where the input's first axis decides the rest.
        """
        self._request = compiled.create_infer_request()
        self._outputs = outputs
        self._per_picture = per_picture
        self._running = threading.Lock()

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run once; the arrays are the caller's to keep."""
        if self._per_picture is None:
            with self._running:
                self._request.infer(dict(inputs), share_inputs=True)
                return {name: np.array(self._request.get_output_tensor(i).data) for name, i in self._outputs.items()}
        import openvino

        (array,) = inputs.values()
        # Shapes are known, so the library writes straight into arrays that the caller keeps.
        outputs = {name: np.empty((len(array), *shape), dtype) for name, (shape, dtype) in self._per_picture.items()}
        with self._running:
            for name, index in self._outputs.items():
                self._request.set_output_tensor(index, openvino.Tensor(outputs[name], shared_memory=True))
            self._request.infer([array], share_inputs=True)
        return cast("dict[str, Array]", outputs)


def per_picture(model: openvino.Model, outputs: Mapping[str, int]) -> Ports | None:
    """Shapes and dtypes of outputs for each picture of a batch; None where a batch does not say the whole shape.

    Args:
        model: Which takes pictures of one size.
        outputs: Names of outputs, and which they are.
    """
    probe = model.clone()
    picture = probe.input(0).get_partial_shape()
    picture[0] = 2
    probe.reshape(picture)
    found: dict[str, tuple[tuple[int, ...], np.dtype[np.generic]]] = {}
    for name, index in outputs.items():
        port = probe.output(index)
        shape = port.get_partial_shape()
        if shape.is_dynamic or shape.rank.get_length() == 0 or shape[0].get_length() != 2:
            return None
        found[name] = tuple(port.shape)[1:], port.element_type.to_dtype()
    return found
