"""TensorRT and TensorRT-RTX: build plans from ONNX graphs, check, cache and run them."""

from fastsam_engine.backends.tensorrt.flavours import TensorRt, TensorRtRtx

__all__ = ["TensorRt", "TensorRtRtx"]
