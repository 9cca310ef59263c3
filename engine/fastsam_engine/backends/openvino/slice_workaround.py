"""A mend for OpenVINO: slices before GatherElements, as YOLO26's exported head has them.

OpenVINO (2026.4 still) drops a slice that begins at 0 before a GatherElements, since indices reach no further (its pull
request 18614); but its GatherElements wants data and indices of one shape, and the graph fails to compile.
The same cut made by a split is left alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import openvino


def split_before_gather(model: openvino.Model) -> None:
    """Make the slices along one axis, from 0 up to a constant, that a GatherElements takes into splits, in place."""
    from openvino import opset13

    for gather in model.get_ops():
        if gather.get_type_name() != "GatherElements":
            continue
        cut = gather.input_value(0).get_node()
        if cut.get_type_name() != "Slice":
            continue
        start, stop, step, axis = (_constant(cut.input_value(i).get_node()) for i in range(1, 5))
        if not (start == [0] and step == [1] and stop and axis):
            continue
        length = cut.input_value(0).get_partial_shape()[axis[0]]
        if length.is_static and 0 < stop[0] < length.get_length():
            parts = opset13.variadic_split(cut.input_value(0), axis[0], np.array([stop[0], -1]))
            gather.input(0).replace_source_output(parts.output(0))


def _constant(node: openvino.Node) -> list[int] | None:
    """The values of a constant, one a broadcast repeats included; None for anything else."""
    if node.get_type_name() == "Broadcast":  # how steps that a file leaves out are read
        node = node.input_value(0).get_node()
    return np.ravel(node.get_data()).tolist() if node.get_type_name() == "Constant" else None
