"""OpenVINO, on CPUs."""

from fastsam_engine.backends.openvino.backend import OpenVinoBackend
from fastsam_engine.import_names import moved_names

__all__ = ["OpenVinoBackend"]

__getattr__ = moved_names(__name__, {"OpenVinoSession": f"{__name__}.backend"})
