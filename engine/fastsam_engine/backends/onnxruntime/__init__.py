"""ONNX Runtime, on CPUs and NVIDIA GPUs."""

from fastsam_engine.backends.onnxruntime.backend import OnnxRuntimeBackend

__all__ = ["OnnxRuntimeBackend"]
