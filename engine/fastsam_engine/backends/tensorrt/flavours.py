"""Register the backends `tensorrt` and `tensorrt-rtx`."""

from __future__ import annotations

import dataclasses

from fastsam_engine.backends.registry import register
from fastsam_engine.backends.tensorrt.backend import TensorRtBackend
from fastsam_engine.gpus import Gpu
from fastsam_engine.plans.build_request import BuildRequest

_OLDEST = 7, 5  # Turing, the oldest compute capability that TensorRT 10 supports
_RTX_SUPPORTED = ((7, 5), (8, 0), (8, 6), (8, 9), (12, 0), (12, 1))  # compute capabilities, by its documentation


@register
class TensorRt(TensorRtBackend):
    """TensorRT: its plans run on the model of GPU that they were built on."""

    name = flavour = "tensorrt"
    speed_rank = 5

    def supports(self, gpu: Gpu) -> bool:
        return gpu.compute_capability >= _OLDEST

    def target(self, gpu: Gpu) -> str:
        return f"{gpu.name} (sm{gpu.compute_capability[0]}{gpu.compute_capability[1]})"


@register
class TensorRtRtx(TensorRtBackend):
    """TensorRT-RTX: its plans run on any GPU of the compute capabilities that they were built for."""

    name = flavour = "tensorrt-rtx"
    speed_rank = 6

    def supports(self, gpu: Gpu) -> bool:
        return gpu.compute_capability in _RTX_SUPPORTED

    def target(self, gpu: Gpu) -> str:
        return "sm{}{}".format(*gpu.compute_capability)

    def _with_local_target(self, request: BuildRequest, target: str) -> BuildRequest:
        targets = request.options.targets or (target,)
        return dataclasses.replace(request, options=dataclasses.replace(request.options, targets=targets))
