"""Choose ONNX Runtime's providers and their options for a device, and the precision that results.

Option names are those of ONNX Runtime 1.31; a provider refuses the session if it does not know an option.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from fastsam_engine.backends.onnxruntime.devices import Device
from fastsam_engine.errors import BackendUnavailableError
from fastsam_engine.plans.shape_ranges import ShapeRange
from fastsam_engine.session import ComputePrecision
from fastsam_engine.spec.model_input import ImageInput
from fastsam_engine.spec.model_spec import ModelSpec
from fastsam_engine.store.atomic_files import file_sha256
from fastsam_engine.store.home_folder import home

Providers = list[tuple[str, dict[str, str]]]


def compute_precision(spec: ModelSpec, device: Device, requested: str) -> ComputePrecision:
    """The precision that a graph is computed in.

    The CPU provider has almost no fp16 kernels and casts to fp32. The CUDA provider computes an int8 graph in floating
    point between its Q and DQ nodes. On GPUs, fp32 products may use TF32; requesting `fp32` turns that off, which the
    TensorRT provider can't do.

    Args:
        spec: Of the graph.
        device: The device it runs on.
        requested: `auto` or a precision.

    Raises:
        BackendUnavailableError: The requested precision is not available.
    """
    usual: ComputePrecision = (
        "fp32" if (spec.precision, device.kind) in (("fp16", "cpu"), ("int8", "cuda")) else spec.precision
    )
    able = [usual]
    if usual == "fp32" and device.kind != "cpu":
        able = ["tf32", "fp32"] if device.kind == "cuda" else ["tf32"]
    chosen = able[0] if requested == "auto" else next((each for each in able if each == requested), None)
    if chosen is None:
        found = " or ".join(able)
        raise BackendUnavailableError(
            "onnxruntime",
            f"it computes this graph, which is {spec.precision}, in {found} on {device}, not in {requested}",
            "use --precision auto, or another backend",
        )
    return chosen


def providers(
    spec: ModelSpec,
    device: Device,
    precision: ComputePrecision,
    *,
    cuda_graph: bool = False,
    ranges: Mapping[str, ShapeRange] | None = None,
    engines: Path | None = None,
) -> Providers:
    """The providers of a session with their options, in order.

    Args:
        spec: Of the graph.
        device: To run on.
        precision: From `compute_precision`.
        cuda_graph: Whether runs will be recorded and replayed.
        ranges: TensorRT only: the shapes of inputs that are not fixed; none if all are.
        engines: TensorRT only: folder for this graph's engines and timings; see `engine_folder`.
    """
    if device.kind == "cpu":
        return [(device.provider, {})]
    cuda = {
        "device_id": str(device.index),
        "arena_extend_strategy": "kSameAsRequested",  # a stream needs the same memory every time
        "cudnn_conv_algo_search": "EXHAUSTIVE",
        "cudnn_conv_use_max_workspace": "1",
        "use_tf32": str(int(precision == "tf32")),
        # The layout of tensor cores.
        "prefer_nhwc": str(int(precision == "fp16" and isinstance(spec.input, ImageInput))),
    }
    if device.kind == "cuda":
        return [(device.provider, cuda | {"enable_cuda_graph": str(int(cuda_graph))})]
    options = {
        "device_id": str(device.index),
        "trt_cuda_graph_enable": str(int(cuda_graph)),
        # This provider's networks are weakly typed: reduced precision in the graph is used only if it is enabled.
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
    """The folder for the engines that the TensorRT provider builds from a graph.

    The provider names engines by a graph's operators and not by its weights, so every graph needs its own folder.

    Args:
        path: The ONNX file.
        spec: Of the graph.
        version: Of ONNX Runtime.
        what: Everything else that the engine depends on: fixed axes, or ranges of shapes.
    """
    key = json.dumps(
        {"graph": file_sha256(path), "version": version, "what": repr(sorted(what.items()))}, sort_keys=True
    )
    return home() / "engines" / "onnxruntime" / f"{spec.name}-{hashlib.sha256(key.encode()).hexdigest()[:20]}"
