"""TensorRT and TensorRT-RTX: plans are built from ONNX graphs, cached, checked and run. One code serves both APIs."""

from fastsam_engine.backends.tensorrt.flavours import TensorRt, TensorRtRtx

__all__ = ["TensorRt", "TensorRtRtx"]
