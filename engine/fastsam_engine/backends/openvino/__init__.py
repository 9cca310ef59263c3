"""OpenVINO, on CPUs."""

from fastsam_engine.backends.openvino.backend import OpenVinoBackend

__all__ = ["OpenVinoBackend"]
