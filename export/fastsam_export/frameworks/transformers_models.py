"""Load, preprocess for, trace and prove models of transformers."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastsam_engine.spec.model_input import ImageInput, Interpolation
from fastsam_engine.spec.model_spec import ModelSpec, Source
from fastsam_engine.store.home_folder import expand_user
from fastsam_export.errors import ExportError
from fastsam_export.family import Exported
from fastsam_export.frameworks.downloads import from_hub
from fastsam_export.onnx_file import sha256, versions, write_spec
from fastsam_export.parity import describe, fp32_sessions
from fastsam_export.proof import PYTORCH, prove

if TYPE_CHECKING:
    import torch

_OPSET = 18
_INTERPOLATIONS: dict[int, Interpolation] = {2: "bilinear", 3: "bicubic"}  # by value of PIL.Image.Resampling
Arrays = tuple[NDArray[np.float32], ...]
_ASPECT = 4 / 3  # aspect ratio of a graph's default size if the processor keeps that of each picture


def has_model_type(weights: Path, model_type: str) -> bool:
    """Whether a local folder contains a transformers model of this type."""
    config = weights / "config.json"
    return config.is_file() and json.loads(config.read_text()).get("model_type") == model_type


def load(weights: str, model_class: str, processor_class: str) -> tuple[Any, Any]:
    """Model (fp32, eval) and processor of a hub id or local folder.

    Raises:
        WeightsNotFoundError: The weights do not exist, or can't be read.
        WeightsUnreachableError: They can't be fetched.
        ExportError: The checkpoint was trained for another task, so that weights would be missing.
    """
    import transformers
    from transformers.utils import logging

    logging.disable_progress_bar()
    with from_hub(weights, "them") as given:
        config = transformers.AutoConfig.from_pretrained(weights, **given)
        found = list(config.architectures or ())
        if model_class not in found:
            raise ExportError(
                f"{weights}: expected a checkpoint of {model_class}, found {', '.join(found) or 'none named'}; "
                "it has no weights for segmentation"
            )
        model = getattr(transformers, model_class).from_pretrained(weights, **given)
        processor = getattr(transformers, processor_class).from_pretrained(weights, **given)
    return model.float().eval(), processor


def source(weights: str, licence: str) -> Source:
    """The source of a hub id or local folder, for the spec."""
    origin = expand_user(weights)
    local = origin.exists()
    return Source(origin.name if local else weights, sha256(origin) if local else "", versions("transformers"), licence)


def frame_size(processor: Any, requested: tuple[int, int] | None, multiple: int) -> tuple[int, int]:
    """The input size of a graph, (height, width) px: the requested one, or that of the processor.

    If the processor keeps the aspect ratio, the size is that of a 4:3 picture, as most of COCO's are.

    Raises:
        ExportError: The architecture does not support the size.
    """
    height, width = requested or (0, 0)
    if requested is None:
        size = dict(processor.size)
        if size.get("height"):
            height, width = int(size["height"]), int(size["width"])
        else:
            height = int(size["shortest_edge"])
            width = min(int(height * _ASPECT), int(size.get("longest_edge") or height * _ASPECT))
        height, width = height // multiple * multiple, width // multiple * multiple
    if min(height, width) < 64 or height % multiple or width % multiple:
        raise ExportError(f"imgsz: expected 64 px or more in multiples of {multiple} px, found {height} x {width}")
    return height, width


def frame_input(weights: str, processor: Any, size: tuple[int, int]) -> ImageInput:
    """The spec of an input of one size: frames are stretched to it, and normalised as by the processor.

    Raises:
        ExportError: The processor prepares pictures in another way.
    """
    steps = ("do_resize", "do_rescale", "do_normalize")
    if not all(getattr(processor, each) for each in steps):
        raise ExportError(f"{weights}: expected a processor that resizes, rescales and normalises, found {processor}")
    if int(processor.resample) not in _INTERPOLATIONS:
        raise ExportError(f"{weights}: expected bilinear or bicubic resampling, found {processor.resample}")
    return ImageInput(
        name="pixel_values",
        height=size[0],
        width=size[1],
        size_multiple=None,
        resize="stretch",
        interpolation=_INTERPOLATIONS[int(processor.resample)],
        antialias=True,
        pad_value=0,
        colour="RGB",
        scale=float(processor.rescale_factor),
        mean=tuple(map(float, processor.image_mean)),
        std=tuple(map(float, processor.image_std)),
    )


def pixels(processor: Any, pictures: Sequence[NDArray[np.uint8]], size: tuple[int, int]) -> torch.Tensor:
    """Preprocess RGB pictures (h, w, 3) by the processor: (n, 3, height, width) float32."""
    values: torch.Tensor = processor(
        images=list(pictures),
        size={"height": size[0], "width": size[1]},
        input_data_format="channels_last",
        return_tensors="pt",
    )["pixel_values"]
    return values


def class_names(config: Any) -> tuple[str, ...]:
    """Class names in the order of ids; ids without a name are called `class N`."""
    names: Mapping[int, str] = {int(key): str(name) for key, name in config.id2label.items()}
    return tuple(names.get(i, f"class {i}") for i in range(max(names) + 1))


def trace(
    module: torch.nn.Module,
    examples: tuple[torch.Tensor, ...],
    path: Path,
    inputs: Sequence[str],
    outputs: Sequence[str],
    dynamic_axes: Mapping[str, Mapping[int, str]],
) -> None:
    """Trace a module into an ONNX file."""
    import torch

    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # the tracer warns of shape checks, which are constant here; parity proves that
        torch.onnx.export(
            module,
            examples,
            str(path),
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes={name: dict(axes) for name, axes in dynamic_axes.items()},
            opset_version=_OPSET,
            dynamo=False,
        )


def trace_batched(module: torch.nn.Module, example: torch.Tensor, path: Path, spec: ModelSpec) -> None:
    """Trace a module with one input into an ONNX file with a dynamic batch, and write its spec into the file."""
    outputs = [output.name for output in spec.outputs]
    axes = {name: {0: "batch"} for name in (*spec.input_names, *outputs)}
    trace(module, (example,), path, spec.input_names, outputs, axes)
    write_spec(path, spec)


def prove_module(
    module: torch.nn.Module,
    batch: torch.Tensor,
    path: Path,
    spec: ModelSpec,
    tolerance: Mapping[str, float],
    what: str,
    compare: Callable[[Arrays, Arrays], Mapping[str, float]],
) -> Exported:
    """Compare a graph with one input with its module, for a batch of one and a full batch, and record the proof.

    Args:
        module: Returns the outputs of `spec`, as a tensor or a tuple.
        batch: Inputs (n, ...).
        path, spec: The graph.
        tolerance: Metric name to bound.
        what: Description of the inputs.
        compare: Computes the metrics from the outputs of the module and of the graph, both in the order of `spec`.

    Raises:
        ParityError: A metric is beyond its bound.
    """
    import torch

    sessions = fp32_sessions(path)

    def comparisons() -> Iterator[tuple[str, Mapping[str, float]]]:
        for count in (1, len(batch)):  # the batch is dynamic
            with torch.inference_mode():
                answer = module(batch[:count])
            expected = tuple(each.numpy() for each in (answer if isinstance(answer, tuple) else (answer,)))
            for session in sessions:
                outputs = session.run({spec.input_names[0]: batch[:count].numpy()})
                metrics = compare(expected, tuple(outputs[output.name] for output in spec.outputs))
                yield f"{what} on {describe(sessions)}", metrics

    proven = prove(path, spec, tolerance, comparisons(), PYTORCH)
    return Exported(path, proven)
