"""Seeded models of true size in the layout of transformers.js, with the checkpoint that each was made from."""

from __future__ import annotations

import gc
import math
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from claims.common import harness

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tests"))
from support import hub_models, small_towers

DETR_SIZE = (480, 640)  # height, width: 800 x 1066 of the repository takes three times as long


@dataclass(frozen=True, slots=True)
class SeededHub:
    """A model of a public hub by its repository, with random weights.

    Attributes:
        repository: The hub id whose sizes it has.
        kind: How it is compared.
        save: Saves the checkpoint in transformers' format.
        write: Writes the hub's files from the checkpoint.
    """

    repository: str
    kind: Literal["towers", "panoptic", "semantic"]
    save: Callable[[Path], None]
    write: Callable[[Path, Path], None]

    def make(self, folder: Path) -> tuple[Path, Path]:
        """Make both. Returns the folder of the checkpoint and that of the hub's files."""
        import torch

        torch.manual_seed(0)
        checkpoint, hub = folder / "checkpoint", folder / "hub"
        self.save(checkpoint)
        gc.collect()
        self.write(hub, checkpoint)
        gc.collect()
        return checkpoint, hub


def _clip(folder: Path) -> None:
    import transformers

    shutil.copytree(harness.SHARED / "models" / "clip-vit-base-patch32", folder)
    model = transformers.CLIPModel(transformers.CLIPConfig.from_pretrained(folder))
    model.logit_scale.data.fill_(math.log(100))
    _save(model, folder)


def _siglip(*, second: bool) -> Callable[[Path], None]:
    def save(folder: Path) -> None:
        import transformers

        small_towers.save_siglip_tokenizer(folder, 64, second=second)
        side = 256 if second else 224
        text = {"vocab_size": 256_000 if second else 32_000, "max_position_embeddings": 64, "eos_token_id": 1,
                "bos_token_id": None, "pad_token_id": 0 if second else 1}  # fmt: skip
        config = transformers.SiglipConfig(text_config=text, vision_config={"image_size": side, "patch_size": 16})
        model = transformers.SiglipModel(config)
        model.logit_scale.data.fill_(math.log(117.33))
        model.logit_bias.data.fill_(-12.93)
        _save(model, folder)
        size = {"height": side, "width": side}
        transformers.SiglipImageProcessor(size=size, resample=2 if second else 3).save_pretrained(folder)

    return save


def _detr(folder: Path) -> None:
    import transformers

    backbone = transformers.ResNetConfig(out_features=["stage1", "stage2", "stage3", "stage4"])
    config = transformers.DetrConfig(use_timm_backbone=False, backbone_config=backbone, num_labels=250)
    model = transformers.DetrForSegmentation(config)
    model.detr.model.query_position_embeddings.weight.data *= 10
    model.detr.class_labels_classifier.weight.data *= 30
    _save(model, folder)
    size = {"shortest_edge": DETR_SIZE[0], "longest_edge": DETR_SIZE[1]}
    transformers.DetrImageProcessor(size=size).save_pretrained(folder)


def _segformer(side: int, **sizes: Any) -> Callable[[Path], None]:
    def save(folder: Path) -> None:
        import transformers

        model = transformers.SegformerForSemanticSegmentation(transformers.SegformerConfig(num_labels=19, **sizes))
        model.decode_head.classifier.weight.data *= 20
        _save(model, folder)
        transformers.SegformerImageProcessor(size={"height": side, "width": side}).save_pretrained(folder)

    return save


def _save(model: Any, folder: Path) -> None:
    model.save_pretrained(folder)


HUBS = {
    "clip": SeededHub("Xenova/clip-vit-base-patch32", "towers", _clip, hub_models.save_clip),
    "siglip": SeededHub("Xenova/siglip-base-patch16-224", "towers", _siglip(second=False), hub_models.save_siglip),
    "siglip2": SeededHub(
        "onnx-community/siglip2-base-patch16-256-ONNX", "towers", _siglip(second=True), hub_models.save_siglip
    ),
    "detr": SeededHub("Xenova/detr-resnet-50-panoptic", "panoptic", _detr, hub_models.save_detr),
    "segformer-b0": SeededHub(
        "Xenova/segformer-b0-finetuned-cityscapes-1024-1024", "semantic", _segformer(1024), hub_models.save_segformer
    ),
    "segformer-b5": SeededHub(
        "Xenova/segformer-b5-finetuned-cityscapes-1024-1024", "semantic",
        _segformer(512, depths=[3, 6, 40, 3], hidden_sizes=[64, 128, 320, 512], decoder_hidden_size=768),
        hub_models.save_segformer,
    ),
}  # fmt: skip
