"""OpenVINO, on processors."""

from fastsam_engine.backends.openvino.backend import OpenVinoBackend

__all__ = ["OpenVinoBackend"]
