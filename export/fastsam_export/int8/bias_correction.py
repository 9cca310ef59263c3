"""Bias correction: int8 shifts the mean output of a convolution, and its bias is changed to undo that.

Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction (2019), section 4.2, with means
measured on calibration pictures. A convolution is corrected for its own rounding only, not for the rounding of earlier
ones, so all are corrected at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fastsam_engine.session import Array

if TYPE_CHECKING:
    import onnx

_MAX_PICTURES = 16  # means need fewer pictures than ranges


@dataclass(frozen=True, slots=True)
class _Rounded:
    """A convolution in int8: the rounding of its input, and its weights before and after.

    Attributes:
        source: Name of its input in floating point.
        scale, zero: Scale and zero point of the input.
        before, after: (channels, channels of the input / groups): weights summed over the kernel, in fp32 and in int8.
    """

    source: str
    scale: NDArray[np.float32]
    zero: NDArray[np.uint8]
    before: NDArray[np.float32]
    after: NDArray[np.float32]

    def round(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        limits, zero = np.iinfo(self.zero.dtype), np.float32(self.zero)
        return np.asarray((np.clip(np.rint(values / self.scale) + zero, limits.min, limits.max) - zero) * self.scale)

    def lost(self, mean: NDArray[np.float64], rounded: NDArray[np.float64]) -> NDArray[np.float32]:
        """The loss of the mean output, (channels,), from the mean input before and after rounding."""
        return np.asarray(_product(self.before, mean) - _product(self.after, rounded), np.float32)


def lost_means(
    model: onnx.ModelProto, quantised: onnx.ModelProto, inputs: Sequence[Mapping[str, Array]]
) -> dict[str, NDArray[np.float32]]:
    """The loss of the mean output of each quantised convolution, (channels,), by name of the convolution.

    Args:
        model: The graph in fp32.
        quantised: The same graph with Q/DQ pairs at the inputs of convolutions.
        inputs: Calibration inputs, of which a few are used.
    """
    convolutions = _rounded(model, quantised)
    taken = [inputs[i] for i in np.linspace(0, len(inputs) - 1, min(len(inputs), _MAX_PICTURES)).round().astype(int)]
    roundings = {each.source: each.round for each in convolutions.values()}
    sums: dict[str, NDArray[np.float64]] = {}
    for given, found in zip(taken, _activations(model, list(roundings), taken), strict=True):
        for name, values in {**given, **found}.items():
            if name in roundings:
                both = np.stack([_channel_means(each) for each in (values, roundings[name](values))])
                sums[name] = sums.get(name, np.float64(0)) + both
    return {name: each.lost(*(sums[each.source] / len(taken))) for name, each in convolutions.items()}


def _rounded(model: onnx.ModelProto, quantised: onnx.ModelProto) -> dict[str, _Rounded]:
    from onnx import numpy_helper

    made = {name: node for node in quantised.graph.node for name in node.output}
    stored = {each.name: each for graph in (model.graph, quantised.graph) for each in graph.initializer}
    before = {node.name: node for node in model.graph.node if node.op_type == "Conv"}
    result = {}
    for node in quantised.graph.node:
        feeds = [made[name] for name in node.input[:2] if name in made]
        if node.name not in before or [each.op_type for each in feeds] != ["DequantizeLinear"] * 2:
            continue
        pair = made[feeds[0].input[0]]
        scale, zero = (numpy_helper.to_array(stored[name]) for name in pair.input[1:3])
        weights = numpy_helper.to_array(stored[before[node.name].input[1]])
        steps, scales = (numpy_helper.to_array(stored[name]) for name in feeds[1].input[:2])
        after = steps * scales.reshape(-1, *[1] * (steps.ndim - 1))
        sums = [each.sum(axis=tuple(range(2, each.ndim))) for each in (weights, after)]
        result[node.name] = _Rounded(pair.input[0], scale, zero, *sums)
    return result


def _activations(
    model: onnx.ModelProto, names: Sequence[str], inputs: Sequence[Mapping[str, Array]]
) -> Iterator[dict[str, Array]]:
    """Tensors inside a graph by name, for one input after the other. Names of the graph's inputs are skipped."""
    import onnx
    import onnxruntime

    wanted = [name for name in names if name not in {each.name for each in model.graph.input}]
    showing = onnx.ModelProto()
    showing.CopyFrom(model)
    there = {each.name for each in showing.graph.output}
    showing.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted if name not in there)
    session = onnxruntime.InferenceSession(showing.SerializeToString(), providers=["CPUExecutionProvider"])
    for given in inputs:
        found = session.run(wanted, dict(given)) if wanted else []  # an empty list would mean all outputs
        yield dict(zip(wanted, found, strict=True))


def _channel_means(values: Array) -> NDArray[np.float64]:
    return np.asarray(values.mean(axis=(0, *range(2, values.ndim)), dtype=np.float64))


def _product(weights: NDArray[np.float32], mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights (channels, channels of the input / groups) times the means of the input, group by group."""
    groups = mean.reshape(-1, weights.shape[1])
    each = np.repeat(groups, len(weights) // len(groups), axis=0)
    return np.asarray((weights * each).sum(axis=1))
