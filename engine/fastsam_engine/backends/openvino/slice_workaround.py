"""Work around OpenVINO's removal of slices before GatherElements, which YOLO26's exported head has.

OpenVINO (still in 2026.4) removes a slice that begins at 0 before a GatherElements, since the indices reach no further
(its pull request 18614). But its GatherElements requires data and indices of the same shape, so compiling fails. A
split in place of the slice is not removed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import openvino


def split_before_gather(model: openvino.Model) -> None:
    """Replace slices from 0 to a constant along one axis, before a GatherElements, by splits; changes the model."""
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
    """The values of a constant, also of one that is broadcast; None for anything else."""
    if node.get_type_name() == "Broadcast":  # how omitted steps are read
        node = node.input_value(0).get_node()
    return np.ravel(node.get_data()).tolist() if node.get_type_name() == "Constant" else None
