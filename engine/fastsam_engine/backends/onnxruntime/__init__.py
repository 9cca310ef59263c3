"""ONNX Runtime, on processors and on NVIDIA GPUs."""

from fastsam_engine.backends.onnxruntime.backend import OnnxRuntimeBackend

__all__ = ["OnnxRuntimeBackend"]
