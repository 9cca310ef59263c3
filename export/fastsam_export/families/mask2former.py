"""Export Mask2Former, through transformers: one graph that outputs class and mask logits of every query."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastsam_engine.spec.model_spec import ModelSpec, Output
from fastsam_export.family import Exported, ExportRequest, Family, register
from fastsam_export.frameworks import deformable_attention, transformers_models
from fastsam_export.helper_graphs import export_helpers
from fastsam_export.parity import compare_queries, synthetic_pictures

if TYPE_CHECKING:
    import torch

_STRIDE = 32
_TOLERANCE = {
    "max_rel_class_logit": 1e-3,
    "max_rel_mask_logit": 1e-3,
    "min_class_agreement": 1.0,
    "min_mask_agreement": 0.999,
}


@register
class Mask2FormerFamily(Family):
    """One graph of a fixed size."""

    name = "mask2former"
    packages = ("transformers", "onnx")

    def recognises(self, weights: Path) -> bool:
        return transformers_models.has_model_type(weights, "mask2former")

    def export(self, request: ExportRequest, folder: Path, step: Callable[[str], None]) -> list[Exported]:
        step("loading weights")
        model, processor = transformers_models.load(
            request.weights, "Mask2FormerForUniversalSegmentation", "Mask2FormerImageProcessor"
        )
        size = transformers_models.frame_size(processor, request.imgsz, _STRIDE)
        names = transformers_models.class_names(model.config)
        queries = int(model.config.num_queries)
        spec = ModelSpec(
            name=request.name,
            family=self.name,
            task="segment",
            input=transformers_models.frame_input(request.weights, processor, size),
            outputs=(
                Output("class_logits", "query-class-logits", f"N {queries} {len(names) + 1}"),
                Output("mask_logits", "query-mask-logits", f"N {queries} {size[0] // 4} {size[1] // 4}"),
            ),
            class_names=names,
            defaults={"conf": 0.5, "iou": 1.0, "max_segments": 300, **request.defaults},
            source=transformers_models.source(request.weights, ""),
        )
        graph = folder / f"{request.name}.onnx"
        network = _network(model)
        batch = transformers_models.pixels(processor, synthetic_pictures(2, 300, 400), size)
        step("tracing the graph")
        with deformable_attention.unstacked(model):
            transformers_models.trace_batched(network, batch[:1], graph, spec)
        step("comparing with PyTorch")
        what = f"{len(batch)} drawn pictures"
        proven = transformers_models.prove_module(network, batch, graph, spec, _TOLERANCE, what, _compare)
        return [proven, *export_helpers(spec, folder, step)]


def _compare(expected: transformers_models.Arrays, found: transformers_models.Arrays) -> dict[str, float]:
    return compare_queries(expected[0], found[0], expected[1], found[1])


def _network(model: Any) -> torch.nn.Module:
    """The exported form of the model: pixels to the class and mask logits of the last layer."""
    import torch

    class Network(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, pixel_values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            found = self.model(pixel_values)
            return found.class_queries_logits, found.masks_queries_logits

    return Network().eval()
