"""TensorRT 10 or later."""

from __future__ import annotations

from fastsam_engine.backends.registry import register
from fastsam_engine.tensorrt.backend import TensorRtBackend
from fastsam_engine.tensorrt.gpus import Gpu

_OLDEST = 7, 5  # compute capability of the oldest GPUs that TensorRT 10 knows, Turing


@register
class TensorRt(TensorRtBackend):
    """TensorRT: its plans run on the model of GPU that they were built on."""

    name = flavour = "tensorrt"
    speed_rank = 5

    def serves(self, gpu: Gpu) -> bool:
        return gpu.compute_capability >= _OLDEST

    def target(self, gpu: Gpu) -> str:
        return f"{gpu.name} (sm{gpu.compute_capability[0]}{gpu.compute_capability[1]})"
