"""Check which provider runs each operator of a session, so that no GPU session runs on the CPU unnoticed.

ONNX Runtime's switch `session.disable_cpu_ep_fallback` does not help: it also counts the arithmetic of shapes, which
ONNX Runtime deliberately puts on the CPU, and it does not name the operators.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from fastsam_engine.backends.onnxruntime.devices import PROVIDERS, Device
from fastsam_engine.errors import BackendUnavailableError, OperatorFallbackError

if TYPE_CHECKING:
    import onnxruntime

RECORD = ("session.record_ep_graph_assignment_info", "1")

# Operators that compute shapes. CUDA's provider has kernels for all of them (docs/OperatorKernels.md of ONNX Runtime;
# except ReduceProd of int64, the type of shapes), so if one runs on the CPU, it was put there to compute a shape.
_OF_SHAPES = {
    "Add", "Cast", "Concat", "Constant", "ConstantOfShape", "Div", "Equal", "Expand", "Flatten", "Floor", "Gather",
    "Greater", "GreaterOrEqual", "Identity", "Less", "LessOrEqual", "Max", "Min", "Mod", "Mul", "Not", "Range",
    "ReduceProd", "Reshape", "Shape", "Size", "Slice", "Split", "Squeeze", "Sub", "Transpose", "Unsqueeze", "Where",
}  # fmt: skip
_UNFORESEEABLE = {"Compress", "If", "Loop", "NonMaxSuppression", "NonZero", "Scan", "Unique"}


def check_assignment(
    session: onnxruntime.InferenceSession, device: Device, *, cpu_fallback: bool, cuda_graph: bool
) -> None:
    """Check that a session runs where it was requested.

    Args:
        session: Opened with the config entry `RECORD`.
        device: The device it was opened on; nothing is checked on the CPU.
        cpu_fallback: Whether operators may run on the CPU.
        cuda_graph: Whether its runs will be recorded.

    Raises:
        BackendUnavailableError: The device's provider runs no operator, or runs can't be recorded.
        OperatorFallbackError: Operators run on the CPU without permission.
    """
    if device.kind == "cpu":
        return
    assigned = Counter(
        (group.ep_name, node.op_type)
        for group in session.get_provider_graph_assignment_info()
        for node in group.get_nodes()
    )
    by_provider = {provider for provider, _ in assigned}
    if assigned and device.provider not in by_provider:
        raise BackendUnavailableError(
            "onnxruntime", f"{device.provider} supports no operator of this graph", "use --device cuda or --device cpu"
        )
    on_cpu = {
        name: count for (provider, name), count in sorted(assigned.items())
        if provider == PROVIDERS["cpu"] and name not in _OF_SHAPES
    }  # fmt: skip
    if on_cpu and not cpu_fallback:
        raise OperatorFallbackError(str(device), on_cpu)
    if cuda_graph and (unsupported := sorted({name for _, name in assigned} & _UNFORESEEABLE)):
        raise BackendUnavailableError(
            "onnxruntime",
            f"{', '.join(unsupported)} can't be recorded in a CUDA graph, since the output shapes depend on the data",
            "open it without cuda_graph",
        )
