"""Export DETR panoptic, through transformers: a detection graph, and a mask head for the chosen queries.

The first convolution and the pyramid adapters of the mask head see the same features for every query, and are linear.
The part that does not depend on the query is therefore computed once, in the detection graph, and the head adds the
attention of each query to it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastsam_engine.spec.model_input import FeatureInput
from fastsam_engine.spec.model_spec import ModelSpec, Output
from fastsam_export.family import Exported, ExportRequest, Family, register
from fastsam_export.frameworks import transformers_models
from fastsam_export.helper_graphs import export_helpers
from fastsam_export.onnx_file import write_spec
from fastsam_export.parity import compare_queries, describe, fp32_sessions, max_abs, synthetic_pictures
from fastsam_export.proof import PYTORCH, prove

if TYPE_CHECKING:
    import torch

_STRIDE = 1  # any size: the head resizes to the size of each level of the pyramid
_OUTPUTS = (  # outputs of the detection graph; from `queries` on they are the inputs of the mask head
    ("class_logits", "query-class-logits"),
    ("boxes", "query-boxes"),  # cx, cy, w, h in 0..1 of the input
    ("queries", "query-features"),
    ("keys", "attention-keys"),
    ("mixed", "mask-features"),
    ("pyramid_0", "mask-pyramid"),
    ("pyramid_1", "mask-pyramid"),
    ("pyramid_2", "mask-pyramid"),
)
_KEPT = (1, 7)  # numbers of queries on which the head is compared
_TOLERANCE = {
    "max_rel_class_logit": 1e-3,
    "max_abs_box": 1e-3,
    "max_rel_mask_logit": 1e-3,
    "min_class_agreement": 1.0,
    "min_mask_agreement": 0.999,
}


@register
class DetrFamily(Family):
    """Two graphs of a fixed size."""

    name = "detr"
    packages = ("transformers", "timm", "onnx")  # the published checkpoints have backbones from timm

    def recognises(self, weights: Path) -> bool:
        return transformers_models.has_model_type(weights, "detr")

    def export(self, request: ExportRequest, folder: Path, step: Callable[[str], None]) -> list[Exported]:
        import torch

        step("loading weights")
        model, processor = transformers_models.load(request.weights, "DetrForSegmentation", "DetrImageProcessor")
        size = transformers_models.frame_size(processor, request.imgsz, _STRIDE)
        batch = transformers_models.pixels(processor, synthetic_pictures(2, 300, 400), size)
        detection, head = _detection(model), _head(model)
        with torch.inference_mode():
            examples = detection(batch[:1])
        names = transformers_models.class_names(model.config)
        spec = ModelSpec(
            name=request.name,
            family=self.name,
            task="segment",
            input=transformers_models.frame_input(request.weights, processor, size),
            outputs=tuple(
                Output(name, meaning, " ".join(["N", *map(str, example.shape[1:])]))
                for (name, meaning), example in zip(_OUTPUTS, examples, strict=True)
            ),
            class_names=names,
            defaults={"conf": 0.5, "iou": 1.0, "max_segments": 100, **request.defaults},
            source=transformers_models.source(request.weights, "Apache-2.0"),
        )
        height, width = examples[-1].shape[-2:]
        features = [" ".join(map(str, example.shape)) for example in examples[3:]]
        masks = dataclasses.replace(
            spec,
            task="masks",
            input=FeatureInput(tuple(name for name, _ in _OUTPUTS[2:]), (f"1 K {examples[2].shape[2]}", *features)),
            outputs=(Output("mask_logits", "query-mask-logits", f"1 K {height} {width}"),),
        )
        graph, head_graph = folder / f"{request.name}.onnx", folder / f"{request.name}.masks.onnx"
        step("tracing the detection graph")
        transformers_models.trace_batched(detection, batch[:1], graph, spec)
        step("tracing the mask head")
        transformers_models.trace(
            head, (examples[2][:, :3], *examples[3:]), head_graph, masks.input_names, ["mask_logits"],
            {masks.input_names[0]: {1: "queries"}, "mask_logits": {1: "queries"}},
        )  # fmt: skip
        write_spec(head_graph, masks)
        step("comparing with PyTorch")
        spec = prove(graph, spec, _TOLERANCE, _comparisons(model, batch, graph, head_graph), PYTORCH)
        masks = dataclasses.replace(masks, parity=spec.parity)  # both graphs were compared together
        write_spec(head_graph, masks)
        return [Exported(graph, spec), Exported(head_graph, masks), *export_helpers(spec, folder, step)]


def _comparisons(
    model: Any, batch: torch.Tensor, graph: Path, head_graph: Path
) -> Iterator[tuple[str, Mapping[str, float]]]:
    """Compare both graphs with the whole model: classes and boxes of all queries, masks of the most confident ones."""
    import torch

    sessions, heads = fp32_sessions(graph), fp32_sessions(head_graph)
    for count in (1, len(batch)):  # the batch of the first graph is dynamic
        with torch.inference_mode():
            expected = model(batch[:count])
        logits, boxes, masks = (each.numpy() for each in (expected.logits, expected.pred_boxes, expected.pred_masks))
        for session, head in zip(sessions, heads, strict=True):
            found = session.run({session.spec.input_names[0]: batch[:count].numpy()})
            max_abs_box = max_abs(boxes, found["boxes"])
            for index in range(count):
                for kept in _KEPT:
                    confident = np.sort(np.argsort(logits[index, :, -1])[:kept])  # lowest logits of "no object"
                    features = {name: found[name][index : index + 1] for name in head.spec.input_names}
                    features["queries"] = features["queries"][:, confident]
                    metrics = compare_queries(
                        logits[index : index + 1],
                        found["class_logits"][index : index + 1],
                        masks[index : index + 1, confident],
                        head.run(features)["mask_logits"],
                    )
                    metrics["max_abs_box"] = max_abs_box
                    yield f"{len(batch)} drawn pictures on {describe(sessions)}", metrics


def _detection(model: Any) -> torch.nn.Module:
    """The detection graph: pixels to `_OUTPUTS`, as in `DetrForSegmentation.forward` without padding."""
    import torch

    detr, head, attention = model.detr, model.mask_head, model.bbox_attention
    width = int(model.config.d_model)
    first = head.conv1.conv

    class Detection(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, pixel_values: torch.Tensor) -> tuple[torch.Tensor, ...]:
            maps = detr.model.backbone.model(pixel_values)
            maps = maps.feature_maps if hasattr(maps, "feature_maps") else maps
            projected = detr.model.input_projection(maps[-1])
            batch = pixel_values.shape[0]
            positions = detr.model.position_embedding(
                shape=torch.Size((1, *maps[-1].shape[1:])), device=pixel_values.device, dtype=pixel_values.dtype
            )
            positions = positions.flatten(2).transpose(1, 2)
            encoded = detr.model.encoder(
                inputs_embeds=projected.flatten(2).transpose(1, 2), spatial_position_embeddings=positions
            ).last_hidden_state
            query_positions = detr.model.query_position_embeddings.weight.unsqueeze(0).expand(batch, -1, -1)
            queries = detr.model.decoder(
                inputs_embeds=torch.zeros_like(query_positions),
                spatial_position_embeddings=positions,
                object_queries_position_embeddings=query_positions,
                encoder_hidden_states=encoded,
            ).last_hidden_state
            memory = encoded.transpose(1, 2).reshape(batch, width, *maps[-1].shape[-2:])
            keys = torch.nn.functional.conv2d(memory, attention.k_proj.weight[..., None, None], attention.k_proj.bias)
            mixed = torch.nn.functional.conv2d(projected, first.weight[:, :width], first.bias, padding=1)
            pyramid = [
                stage.fpn_adapter(level) for stage, level in zip(head.fpn_stages, reversed(maps[-4:-1]), strict=True)
            ]
            boxes = detr.bbox_predictor(queries).sigmoid()
            return (detr.class_labels_classifier(queries), boxes, queries, keys, mixed, *pyramid)

    return Detection().eval()


def _head(model: Any) -> torch.nn.Module:
    """The mask head: chosen queries and features of one picture to mask logits, as in `DetrMaskHeadSmallConv`."""
    import torch

    head, attention = model.mask_head, model.bbox_attention
    width = int(model.config.d_model)
    heads = width // int(attention.head_dim)

    class Head(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.head, self.attention = head, attention

        def forward(
            self, queries: torch.Tensor, keys: torch.Tensor, mixed: torch.Tensor, *pyramid: torch.Tensor
        ) -> torch.Tensor:
            height, across = keys.shape[-2:]
            projected = attention.q_proj(queries[0]).reshape(-1, heads, attention.head_dim) * attention.scaling
            flat_keys = keys[0].reshape(heads, attention.head_dim, height * across)
            weights = torch.matmul(projected.transpose(0, 1), flat_keys).transpose(0, 1)  # (K, heads, h * w)
            weights = weights.flatten(1).softmax(dim=-1).reshape(-1, heads, height, across)
            first = head.conv1
            hidden = torch.nn.functional.conv2d(weights, first.conv.weight[:, width:], padding=1) + mixed
            hidden = head.conv2(first.activation(first.norm(hidden)))
            for stage, level in zip(head.fpn_stages, pyramid, strict=True):
                size = level.shape[-2:]
                hidden = stage.refine(level + torch.nn.functional.interpolate(hidden, size=size, mode="nearest"))
            return head.output_conv(hidden).transpose(0, 1)

    return Head().eval()
