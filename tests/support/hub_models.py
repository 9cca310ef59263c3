"""Small seeded models in the layout of transformers.js, as on public hubs, with their fp16 and quantised siblings.

Inputs, outputs and dynamic axes are those of the exporter that made the public files: towers apart have embeddings of
any length, the whole model's are of length one; DETR takes a mask of 64 x 64 cells.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support import small_transformers

if TYPE_CHECKING:
    import torch

PIXEL_AXES = {0: "batch_size", 1: "num_channels", 2: "height", 3: "width"}
_TOKEN_AXES = {0: "batch_size", 1: "sequence_length"}
_MASK_PX = 64


def trace(
    module: torch.nn.Module,
    examples: tuple[torch.Tensor, ...],
    path: Path,
    inputs: Mapping[str, Mapping[int, str]],
    outputs: Mapping[str, Mapping[int, str]],
    opset: int = 14,
) -> None:
    """Trace a module into an ONNX file; inputs and outputs by name with their dynamic axes."""
    import torch

    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(), examples, str(path), input_names=list(inputs), output_names=list(outputs),
            dynamic_axes={name: dict(axes) for name, axes in {**inputs, **outputs}.items()}, opset_version=opset,
            dynamo=False,
        )  # fmt: skip


def add_siblings(path: Path) -> None:
    """Write `_fp16` and `_quantized` beside a graph, as transformers.js does: half precision, and dynamic int8."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.transformers.float16 import convert_float_to_float16

    half = convert_float_to_float16(onnx.load(str(path)), keep_io_types=True)
    onnx.save(half, str(path.with_name(f"{path.stem}_fp16.onnx")))
    quantize_dynamic(path, path.with_name(f"{path.stem}_quantized.onnx"), weight_type=QuantType.QUInt8)


def save_clip(folder: Path, checkpoint: Path, *, siblings: bool = True) -> None:
    """CLIP: the whole model and both towers."""
    import transformers

    model = transformers.CLIPModel.from_pretrained(checkpoint).eval()
    _save_settings(checkpoint, folder)
    save_towers(model, folder, with_mask=True, siblings=siblings)


def save_siglip(folder: Path, checkpoint: Path, *, siblings: bool = True) -> None:
    """SigLIP: the whole model and both towers."""
    import transformers

    model = transformers.SiglipModel.from_pretrained(checkpoint).eval()
    _save_settings(checkpoint, folder)
    save_towers(model, folder, with_mask=False, siblings=siblings)


def save_towers(model: Any, folder: Path, *, with_mask: bool, siblings: bool) -> None:
    """Trace a model with two towers: `model.onnx`, `vision_model.onnx`, `text_model.onnx`."""
    import torch

    size, length = model.config.vision_config.image_size, model.config.text_config.max_position_embeddings
    pixels = torch.rand(2, 3, size, size)
    ids = torch.randint(3, model.config.text_config.vocab_size - 2, (2, length))
    ids[:, -1] = model.config.text_config.eos_token_id or 1
    whole, vision, text = _whole(model, with_mask=with_mask), _vision(model), _text(model)
    tokens = {"input_ids": {0: "text_batch_size", 1: "sequence_length"}}
    given: tuple[torch.Tensor, ...] = (ids, pixels)
    if with_mask:
        tokens["attention_mask"] = tokens["input_ids"]
        given = (ids, pixels, torch.ones_like(ids))
    pictures = {"pixel_values": {**PIXEL_AXES, 0: "image_batch_size"}}
    order = {"input_ids": tokens["input_ids"], **pictures, **tokens}
    logits = {"logits_per_image": {0: "image_batch_size", 1: "text_batch_size"},
              "logits_per_text": {0: "text_batch_size", 1: "image_batch_size"}}  # fmt: skip
    embeds = {"text_embeds": {0: "text_batch_size"}, "image_embeds": {0: "image_batch_size"}}
    onnx = folder / "onnx"
    trace(whole, given, onnx / "model.onnx", order, {**logits, **embeds})
    trace(vision, (pixels,), onnx / "vision_model.onnx", {"pixel_values": PIXEL_AXES}, _tower_outputs(vision))
    trace(text, (ids,), onnx / "text_model.onnx", {"input_ids": _TOKEN_AXES}, _tower_outputs(text))
    if siblings:
        for name in ("model", "vision_model", "text_model"):
            add_siblings(onnx / f"{name}.onnx")


def save_detr(folder: Path, checkpoint: Path, *, siblings: bool = True) -> None:
    """DETR panoptic, with the mask head on all queries."""
    import torch
    import transformers

    model = transformers.DetrForSegmentation.from_pretrained(checkpoint).eval()
    _save_settings(checkpoint, folder)

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, pixel_values: torch.Tensor, pixel_mask: torch.Tensor) -> tuple[torch.Tensor, ...]:
            found = self.model(pixel_values, pixel_mask)
            return found.logits, found.pred_boxes, found.pred_masks

    height, width = small_transformers.SIZE
    given = torch.rand(1, 3, height, width), torch.ones(1, _MASK_PX, _MASK_PX, dtype=torch.int64)
    queries = {0: "batch_size", 1: "num_queries"}
    outputs = {"logits": queries, "pred_boxes": queries, "pred_masks": queries}
    path = folder / "onnx" / "model.onnx"
    trace(Network(), given, path, {"pixel_values": PIXEL_AXES, "pixel_mask": {0: "batch_size"}}, outputs, opset=14)
    if siblings:
        add_siblings(path)


def save_segformer(folder: Path, checkpoint: Path, *, siblings: bool = True) -> None:
    """SegFormer."""
    import torch
    import transformers

    model = transformers.SegformerForSemanticSegmentation.from_pretrained(checkpoint).eval()
    _save_settings(checkpoint, folder)

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
            return self.model(pixel_values).logits

    height, width = small_transformers.SIZE
    path = folder / "onnx" / "model.onnx"
    outputs = {"logits": {0: "batch_size", 1: "num_labels", 2: "height", 3: "width"}}
    trace(Network(), (torch.rand(1, 3, height, width),), path, {"pixel_values": PIXEL_AXES}, outputs)
    if siblings:
        add_siblings(path)


def _save_settings(checkpoint: Path, folder: Path) -> None:
    """Copy everything but the weights."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in checkpoint.glob("*.json"):
        (folder / path.name).write_bytes(path.read_bytes())


def _whole(model: Any, *, with_mask: bool) -> torch.nn.Module:
    import torch

    class Whole(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: torch.Tensor, pixel_values: torch.Tensor, attention_mask: Any = None) -> Any:
            found = self.model(input_ids=input_ids, pixel_values=pixel_values, attention_mask=attention_mask)
            return found.logits_per_image, found.logits_per_text, found.text_embeds, found.image_embeds

    return Whole()


def _vision(model: Any) -> torch.nn.Module:
    return _tower(model.vision_model, getattr(model, "visual_projection", None), "image_embeds")


def _text(model: Any) -> torch.nn.Module:
    return _tower(model.text_model, getattr(model, "text_projection", None), "text_embeds")


def _tower(encoder: Any, projection: Any, name: str) -> torch.nn.Module:
    """A tower apart: CLIP's projects, SigLIP's has a pooler."""
    import torch

    class Tower(torch.nn.Module):
        names = (name, "last_hidden_state") if projection is not None else ("last_hidden_state", "pooler_output")

        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.projection = encoder, projection

        def forward(self, given: torch.Tensor) -> tuple[torch.Tensor, ...]:
            found = self.encoder(given)
            if self.projection is None:
                return found.last_hidden_state, found.pooler_output
            return self.projection(found.pooler_output), found.last_hidden_state

    return Tower()


def _tower_outputs(tower: Any) -> dict[str, dict[int, str]]:
    return {name: {0: "batch_size"} for name in tower.names}
