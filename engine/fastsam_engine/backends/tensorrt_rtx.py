"""TensorRT-RTX."""

from __future__ import annotations

import dataclasses

from fastsam_engine.backends.registry import register
from fastsam_engine.build_request import BuildRequest
from fastsam_engine.tensorrt.backend import TensorRtBackend
from fastsam_engine.tensorrt.gpus import Gpu

_KNOWN = ((7, 5), (8, 0), (8, 6), (8, 9), (12, 0), (12, 1))  # compute capabilities, as its documentation lists them


@register
class TensorRtRtx(TensorRtBackend):
    """TensorRT-RTX: its plans run on any GPU of the compute capabilities that they were built for."""

    name = flavour = "tensorrt-rtx"
    speed_rank = 6

    def serves(self, gpu: Gpu) -> bool:
        return gpu.compute_capability in _KNOWN

    def target(self, gpu: Gpu) -> str:
        return "sm{}{}".format(*gpu.compute_capability)

    def _for_here(self, request: BuildRequest, target: str) -> BuildRequest:
        targets = request.options.targets or (target,)
        return dataclasses.replace(request, options=dataclasses.replace(request.options, targets=targets))
