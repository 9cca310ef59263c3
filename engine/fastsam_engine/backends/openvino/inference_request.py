"""Run a graph that OpenVINO compiled."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, cast

import numpy as np

from fastsam_engine.device_array import Array

if TYPE_CHECKING:
    import openvino

Ports = Mapping[str, tuple[tuple[int, ...], np.dtype[np.generic]]]


class InferenceRequest:
    """The one request of a compiled graph. Any thread may run it; runs take turns, each on all of OpenVINO's threads.

    A pool of requests would not help: a graph compiled for latency has one stream that requests wait for. Two requests
    in turn were no faster than one.
    """

    def __init__(
        self,
        compiled: openvino.CompiledModel,
        outputs: Mapping[str, int],
        per_image: Ports | None,
        channels_last: Collection[str],
    ) -> None:
        """Make the request.

        Args:
            compiled: The graph.
            outputs: Name to index of the wanted outputs.
            per_image: Their shapes without the batch axis, and dtypes, if the batch determines the rest.
            channels_last: Names of outputs that the graph writes as (n, h, w, c), to be returned as (n, c, h, w).
        """
        self._request = compiled.create_infer_request()
        self._inputs = {name: index for index, port in enumerate(compiled.inputs) for name in port.get_names()}
        self._outputs = outputs
        self._per_image = per_image
        self._channels_last = channels_last
        self._running = threading.Lock()

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run once. No later run overwrites the returned arrays."""
        outputs = self._run_arrays(inputs) if self._per_image is None else self._run_images(inputs, self._per_image)
        return outputs | {name: outputs[name].transpose(0, 3, 1, 2) for name in self._channels_last}

    def _run_arrays(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        with self._running:
            self._infer(inputs)
            return {name: np.array(self._request.get_output_tensor(i).data) for name, i in self._outputs.items()}

    def _run_images(self, inputs: Mapping[str, Array], per_image: Ports) -> dict[str, Array]:
        import openvino

        (array,) = inputs.values()
        # The shapes are known, so the library writes directly into the returned arrays.
        outputs = {name: np.empty((len(array), *shape), dtype) for name, (shape, dtype) in per_image.items()}
        with self._running:
            for name, index in self._outputs.items():
                self._request.set_output_tensor(index, openvino.Tensor(outputs[name], shared_memory=True))
            self._infer(inputs)
        return cast("dict[str, Array]", outputs)

    def _infer(self, inputs: Mapping[str, Array]) -> None:
        """Infer on the memory of the inputs, which the library does not keep alive."""
        import openvino

        # `infer` takes arrays, too, but prepares them anew each time, which takes longer than a few patches do.
        arrays = {name: array if _is_plain(array) else np.array(array, order="C") for name, array in inputs.items()}
        for name, array in arrays.items():
            self._request.set_input_tensor(self._inputs[name], openvino.Tensor(array, shared_memory=True))
        self._request.infer(share_outputs=True)  # otherwise the library copies all outputs, too


def _is_plain(array: Array) -> bool:
    """Whether the library can use an array's memory."""
    return bool(array.flags.c_contiguous and array.flags.writeable)


def per_image(model: openvino.Model, outputs: Mapping[str, int]) -> Ports | None:
    """Shapes and dtypes of outputs per image of a batch; None if the batch does not determine the whole shape.

    Args:
        model: A model that takes images of one size.
        outputs: Name to index of the outputs.
    """
    probe = model.clone()
    shape_of_two = probe.input(0).get_partial_shape()
    shape_of_two[0] = 2
    probe.reshape(shape_of_two)
    found: dict[str, tuple[tuple[int, ...], np.dtype[np.generic]]] = {}
    for name, index in outputs.items():
        port = probe.output(index)
        shape = port.get_partial_shape()
        if shape.is_dynamic or shape.rank.get_length() == 0 or shape[0].get_length() != 2:
            return None
        found[name] = tuple(port.shape)[1:], port.element_type.to_dtype()
    return found
