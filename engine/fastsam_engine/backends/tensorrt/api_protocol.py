"""The part of TensorRT's Python API that is used here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import tensorrt as trt


class TensorRtApi(Protocol):
    """The part of the module's API that is used here, of TensorRT 10 or later or of TensorRT-RTX."""

    __version__: str
    Builder: type[trt.Builder]
    BuilderFlag: type[trt.BuilderFlag]
    Dims: type[trt.Dims]
    HardwareCompatibilityLevel: type[trt.HardwareCompatibilityLevel]
    ILogger: type[trt.ILogger]
    Logger: type[trt.Logger]
    IProgressMonitor: type[trt.IProgressMonitor]
    MemoryPoolType: type[trt.MemoryPoolType]
    NetworkDefinitionCreationFlag: type[trt.NetworkDefinitionCreationFlag]
    OnnxParser: type[trt.OnnxParser]
    Runtime: type[trt.Runtime]
    TensorIOMode: type[trt.TensorIOMode]

    def nptype(self, trt_type: trt.DataType) -> Any:
        """The numpy type of a TensorRT type."""
