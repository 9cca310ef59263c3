"""ONNX Runtime, on CPUs and NVIDIA GPUs."""

from fastsam_engine.backends.onnxruntime.backend import OnnxRuntimeBackend
from fastsam_engine.import_names import moved_names

__all__ = ["OnnxRuntimeBackend"]

__getattr__ = moved_names(__name__, {"OnnxRuntimeSession": f"{__name__}.backend", "open_bound": f"{__name__}.backend"})
