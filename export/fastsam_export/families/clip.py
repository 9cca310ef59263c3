"""CLIP, through transformers: image tower, text tower and tokenizer."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastsam_engine.spec.model_input import ImageInput, TokenInput
from fastsam_engine.spec.model_spec import ModelSpec, Output
from fastsam_export.errors import ExportError
from fastsam_export.family import Exported, ExportRequest, Family, register
from fastsam_export.frameworks import transformers_models
from fastsam_export.frameworks.downloads import from_hub
from fastsam_export.helper_graphs import export_helpers
from fastsam_export.parity import TEXTS, max_abs, min_cosine, synthetic_pictures

if TYPE_CHECKING:
    import torch
    import transformers

_BICUBIC = 3  # PIL.Image.Resampling.BICUBIC, as processors record it
_TOLERANCE = {"min_cosine": 0.9999, "max_abs_embedding": 1e-3}


@register
class ClipFamily(Family):
    """Two graphs whose embeddings have length one, and the tokenizer."""

    name = "clip"
    packages = ("transformers", "onnx")

    def recognises(self, weights: Path) -> bool:
        return transformers_models.has_model_type(weights, "clip")

    def export(self, request: ExportRequest, folder: Path, step: Callable[[str], None]) -> list[Exported]:
        if request.imgsz is not None:
            raise ExportError(f"imgsz: expected none (CLIP's input size is fixed), found {request.imgsz}")
        step("loading weights")
        model, processor, tokenizer = _load(request.weights)
        licence = "MIT" if request.weights.startswith("openai/") else ""
        source = transformers_models.source(request.weights, licence)
        defaults = {"logit_scale": float(model.logit_scale.detach().exp())}
        if (even_cosine := getattr(model.config, "even_cosine", None)) is not None:  # calibrated when it was trained
            defaults["even_cosine"] = float(even_cosine)
        tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
        image = ModelSpec(
            name=request.name,
            family=self.name,
            task="embed-image",
            input=_image_input(request.weights, processor),
            outputs=(Output("image_embeds", "embedding", "N D"),),
            defaults={**defaults, **request.defaults},
            source=source,
        )
        length = int(model.config.text_config.max_position_embeddings)
        text = dataclasses.replace(
            image,
            task="embed-text",
            input=TokenInput("input_ids", length, int(tokenizer.pad_token_id)),
            outputs=(Output("text_embeds", "embedding", "N D"),),
        )
        pictures = synthetic_pictures(3, 240, 320)
        pixels = processor(images=pictures, return_tensors="pt", input_data_format="channels_last")["pixel_values"]
        ids = tokenizer(
            list(TEXTS), padding="max_length", truncation=True, max_length=length, return_tensors="pt"
        )["input_ids"]  # fmt: skip
        exported = []
        for part, tower, spec, example, what in (
            (
                "image",
                _tower(model.vision_model, model.visual_projection),
                image,
                pixels,
                f"{len(pictures)} drawn pictures",
            ),
            ("text", _tower(model.text_model, model.text_projection), text, ids, f"{len(TEXTS)} texts"),
        ):
            step(f"tracing the {part} tower")
            graph = folder / f"{request.name}.{part}.onnx"
            transformers_models.trace_batched(tower, example[:2], graph, spec)
            step(f"comparing the {part} tower with PyTorch")
            exported.append(transformers_models.prove_module(tower, example, graph, spec, _TOLERANCE, what, _compare))
        exported += export_helpers(image, folder, step)
        return [*exported, Exported(folder / "tokenizer.json", None)]


def _compare(expected: transformers_models.Arrays, found: transformers_models.Arrays) -> dict[str, float]:
    return {"min_cosine": min_cosine(expected[0], found[0]), "max_abs_embedding": max_abs(expected[0], found[0])}


def _load(weights: str) -> tuple[transformers.CLIPModel, Any, Any]:
    """Model, image processor and tokenizer of a hub id or local folder."""
    import transformers
    from transformers.utils import logging

    logging.disable_progress_bar()
    with from_hub(weights, "CLIP from there") as given:
        model = transformers.CLIPModel.from_pretrained(weights, **given).float().eval()
        processor = transformers.CLIPImageProcessor.from_pretrained(weights, **given)
        tokenizer = transformers.AutoTokenizer.from_pretrained(weights, **given)
    if not isinstance(model, transformers.CLIPModel):
        raise ExportError(f"{weights}: expected CLIP, found {type(model).__name__}")
    return model, processor, tokenizer


def _image_input(weights: str, processor: Any) -> ImageInput:
    """The spec of the image input, from the configuration of the processor."""
    size, crop = dict(processor.size), dict(processor.crop_size)
    side = size.get("shortest_edge")
    steps = ("do_resize", "do_center_crop", "do_rescale", "do_normalize")
    if side is None or crop != {"height": side, "width": side} or not all(getattr(processor, each) for each in steps):
        raise ExportError(
            f"{weights}: expected a processor that resizes the shortest edge, crops the centre, rescales and "
            f"normalises, found size {size}, crop {crop}"
        )
    if int(processor.resample) != _BICUBIC:
        raise ExportError(f"{weights}: expected bicubic resampling, found {processor.resample}")
    return ImageInput(
        name="pixel_values",
        height=side,
        width=side,
        size_multiple=None,
        resize="shortest-edge",
        interpolation="bicubic",
        antialias=True,
        pad_value=0,
        colour="RGB",
        scale=float(processor.rescale_factor),
        mean=tuple(map(float, processor.image_mean)),
        std=tuple(map(float, processor.image_std)),
    )


def _tower(encoder: torch.nn.Module, projection: torch.nn.Module) -> torch.nn.Module:
    """One tower in its exported form: encode, project, and normalise to length one."""
    import torch

    class Tower(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.projection = encoder, projection

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            embeds = self.projection(self.encoder(inputs).pooler_output)
            return embeds / embeds.norm(dim=-1, keepdim=True)

    return Tower().eval()
