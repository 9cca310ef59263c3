"""What ONNX Runtime is told for a device: its providers and their options, and what it then computes in.

The names are those of ONNX Runtime 1.31; one that a provider does not know makes it refuse the session.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from fastsam_engine.backends.onnxruntime.devices import Device
from fastsam_engine.errors import BackendUnavailableError
from fastsam_engine.plans.shape_ranges import ShapeRange
from fastsam_engine.session import Computed
from fastsam_engine.spec.model_input import ImageInput
from fastsam_engine.spec.model_spec import ModelSpec
from fastsam_engine.store.file_hash import file_sha256
from fastsam_engine.store.home_folder import home

Providers = list[tuple[str, dict[str, str]]]


def computed(spec: ModelSpec, device: Device, asked: str) -> Computed:
    """What a graph is computed in.

    The processor's provider casts around fp16, for which it has hardly a kernel. CUDA's computes an int8 graph in
    floating point, between its Q and DQ nodes. On GPUs products of fp32 may round their factors to TF32 (10 bits, as
    half precision, with the range of fp32); `fp32` by name keeps them whole, which TensorRT's provider can't.

    Args:
        spec: Of the graph.
        device: It runs on.
        asked: `auto` or a precision.

    Raises:
        BackendUnavailableError: It can't be computed in what was asked for.
    """
    own: Computed = "fp32" if (spec.precision, device.kind) in (("fp16", "cpu"), ("int8", "cuda")) else spec.precision
    able = [own]
    if own == "fp32" and device.kind != "cpu":
        able = ["tf32", "fp32"] if device.kind == "cuda" else ["tf32"]
    chosen = able[0] if asked == "auto" else next((each for each in able if each == asked), None)
    if chosen is None:
        found = " or ".join(able)
        raise BackendUnavailableError(
            "onnxruntime",
            f"it computes this graph, which is {spec.precision}, in {found} on {device}, not in {asked}",
            "use --precision auto, or another backend",
        )
    return chosen


def providers(
    spec: ModelSpec,
    device: Device,
    precision: Computed,
    *,
    cuda_graph: bool = False,
    ranges: Mapping[str, ShapeRange] | None = None,
    engines: Path | None = None,
) -> Providers:
    """The providers of a session in order, each with its options.

    Args:
        spec: Of the graph.
        device: To run on.
        precision: What `computed` said.
        cuda_graph: Whether runs will be recorded and replayed.
        ranges: TensorRT: shapes of the inputs that are not fixed; none where all are.
        engines: TensorRT: folder for engines and timings, of this graph alone; see `engine_folder`.
    """
    if device.kind == "cpu":
        return [(device.provider, {})]
    cuda = {
        "device_id": str(device.index),
        "arena_extend_strategy": "kSameAsRequested",  # a stream needs the same memory each time: no power of two of it
        "cudnn_conv_algo_search": "EXHAUSTIVE",
        "cudnn_conv_use_max_workspace": "1",
        "use_tf32": str(int(precision == "tf32")),
        "prefer_nhwc": str(int(precision == "fp16" and isinstance(spec.input, ImageInput))),  # as tensor cores take it
    }
    if device.kind == "cuda":
        return [(device.provider, cuda | {"enable_cuda_graph": str(int(cuda_graph))})]
    options = {
        "device_id": str(device.index),
        "trt_cuda_graph_enable": str(int(cuda_graph)),
        # This provider's networks are weakly typed: half precision in the graph counts only where it is let.
        "trt_fp16_enable": str(int(precision == "fp16")),
        "trt_bf16_enable": str(int(precision == "bf16")),
        "trt_int8_enable": str(int(precision == "int8")),
        "trt_layer_norm_fp32_fallback": str(int(precision == "fp16")),
    }
    if engines is not None:
        options |= {"trt_engine_cache_enable": "1", "trt_engine_cache_path": str(engines)}
        options |= {"trt_timing_cache_enable": "1", "trt_timing_cache_path": str(engines)}
    if ranges:
        for name in ("min", "opt", "max"):
            which = {"min": "smallest", "opt": "usual", "max": "largest"}[name]
            shapes = {each: "x".join(map(str, getattr(range_, which))) for each, range_ in ranges.items()}
            options[f"trt_profile_{name}_shapes"] = ",".join(f"{each}:{shape}" for each, shape in shapes.items())
    return [(device.provider, options), ("CUDAExecutionProvider", cuda)]


def engine_folder(path: Path, spec: ModelSpec, version: str, what: Mapping[str, object]) -> Path:
    """The folder for the engines that TensorRT's provider builds of a graph.

    It names engines by the operators of a graph, not by its weights, so that each graph needs a folder of its own.

    Args:
        path: Of the graph.
        spec: Of the graph.
        version: Of ONNX Runtime.
        what: All else that decides what the engine is: fixed axes, or ranges of shapes.
    """
    key = json.dumps(
        {"graph": file_sha256(path), "version": version, "what": repr(sorted(what.items()))}, sort_keys=True
    )
    return home() / "engines" / "onnxruntime" / f"{spec.name}-{hashlib.sha256(key.encode()).hexdigest()[:20]}"
