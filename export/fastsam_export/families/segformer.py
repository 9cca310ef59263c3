"""Export SegFormer, through transformers: one graph that outputs logits of every class at a quarter of the size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastsam_engine.spec.model_spec import ModelSpec, Output
from fastsam_export.family import Exported, ExportRequest, Family, register
from fastsam_export.frameworks import transformers_models
from fastsam_export.helper_graphs import export_helpers
from fastsam_export.parity import max_rel, synthetic_pictures

if TYPE_CHECKING:
    import torch

_STRIDE = 32
_TOLERANCE = {"max_rel_logit": 1e-3, "min_class_agreement": 0.999}


@register
class SegformerFamily(Family):
    """One graph of a fixed size."""

    name = "segformer"
    packages = ("transformers", "onnx")

    def recognises(self, weights: Path) -> bool:
        return transformers_models.has_model_type(weights, "segformer")

    def export(self, request: ExportRequest, folder: Path, step: Callable[[str], None]) -> list[Exported]:
        step("loading weights")
        model, processor = transformers_models.load(
            request.weights, "SegformerForSemanticSegmentation", "SegformerImageProcessor"
        )
        size = transformers_models.frame_size(processor, request.imgsz, _STRIDE)
        names = transformers_models.class_names(model.config)
        spec = ModelSpec(
            name=request.name,
            family=self.name,
            task="segment",
            input=transformers_models.frame_input(request.weights, processor, size),
            outputs=(Output("logits", "class-logits", f"N {len(names)} {size[0] // 4} {size[1] // 4}"),),
            class_names=names,
            defaults={"conf": 0.0, "iou": 1.0, "max_segments": 300, **request.defaults},
            source=transformers_models.source(request.weights, "NVIDIA Source Code License"),
        )
        graph = folder / f"{request.name}.onnx"
        network = _network(model)
        batch = transformers_models.pixels(processor, synthetic_pictures(2, 300, 400), size)
        step("tracing the graph")
        transformers_models.trace_batched(network, batch[:1], graph, spec)
        step("comparing with PyTorch")
        what = f"{len(batch)} drawn pictures"
        proven = transformers_models.prove_module(network, batch, graph, spec, _TOLERANCE, what, _compare)
        return [proven, *export_helpers(spec, folder, step)]


def _compare(expected: transformers_models.Arrays, found: transformers_models.Arrays) -> dict[str, float]:
    same = (found[0].argmax(axis=1) == expected[0].argmax(axis=1)).mean()
    return {"max_rel_logit": max_rel(expected[0], found[0]), "min_class_agreement": float(same)}


def _network(model: Any) -> torch.nn.Module:
    """The model as it is exported: pixels to logits."""
    import torch

    class Network(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
            return self.model(pixel_values).logits

    return Network().eval()
