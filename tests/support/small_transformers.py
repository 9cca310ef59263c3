"""Small seeded models of the transformers families, in transformers' format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import transformers

FAMILIES = ("segformer", "mask2former", "detr")
SIZE = (96, 128)  # of the exported graphs: height, width, px
QUERIES = 12
_GRID = (3, 4)
_STEPS = 120
_MEAN, _STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def tiles(height: int, width: int, seed: int) -> NDArray[np.uint8]:
    """A picture of twelve tiles of twelve colours, with noise: (height, width, 3) uint8 BGR."""
    colours = np.random.default_rng(0).permutation(np.linspace(0, 255, QUERIES))
    hue = np.stack([colours, np.roll(colours, 5), np.roll(colours, 9)], axis=-1).reshape(*_GRID, 3)
    picture = cv2.resize(hue, (width, height), interpolation=cv2.INTER_NEAREST)
    return (picture + np.random.default_rng(seed).normal(0, 12, picture.shape)).clip(0, 255).astype(np.uint8)


def save_segformer(folder: Path) -> None:
    """SegFormer of five classes."""
    import torch
    import transformers

    torch.manual_seed(0)
    config = transformers.SegformerConfig(
        num_labels=5, depths=[1, 1, 1, 1], hidden_sizes=[8, 16, 24, 32], decoder_hidden_size=32,
        id2label=dict(enumerate(("road", "car", "person", "sky", "tree"))),
    )  # fmt: skip
    model = transformers.SegformerForSemanticSegmentation(config)
    model.decode_head.classifier.weight.data *= 20
    model.save_pretrained(folder)
    transformers.SegformerImageProcessor(size={"height": SIZE[0], "width": SIZE[1]}).save_pretrained(folder)


def save_detr(folder: Path, *, timm: bool = False) -> None:
    """DETR panoptic of six classes and twelve queries, with a backbone of transformers or of timm."""
    import torch
    import transformers

    torch.manual_seed(0)
    backbone = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], layer_type="basic",
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )  # fmt: skip
    if timm:
        backbone = transformers.TimmBackboneConfig(
            backbone="resnet10t", use_pretrained_backbone=False, out_indices=[1, 2, 3, 4], features_only=True
        )
    config = transformers.DetrConfig(
        backbone_config=backbone, num_labels=6, d_model=64, encoder_layers=1,
        decoder_layers=2, encoder_ffn_dim=64, decoder_ffn_dim=64, num_queries=QUERIES, dropout=0.0,
        encoder_attention_heads=8, decoder_attention_heads=8,
    )  # fmt: skip
    model = transformers.DetrForSegmentation(config)
    model.detr.model.query_position_embeddings.weight.data *= 10
    model.detr.class_labels_classifier.weight.data *= 30
    model.save_pretrained(folder)
    transformers.DetrImageProcessor().save_pretrained(folder)


def save_mask2former(folder: Path) -> None:
    """Mask2Former of six classes and twelve queries, which finds twelve segments in `tiles`.

    Fresh weights would let one query win everywhere. So it is taught for a moment: query i is sure of class i modulo
    the classes, and its mask is the i-th tile.
    """
    import torch
    import transformers

    torch.manual_seed(0)
    backbone = transformers.SwinConfig(
        embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 2, 4, 8], window_size=4, image_size=64,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )  # fmt: skip
    config = transformers.Mask2FormerConfig(
        backbone_config=backbone, num_labels=6, hidden_dim=32, feature_size=32, mask_feature_size=32,
        encoder_feedforward_dim=32, dim_feedforward=32, num_queries=QUERIES, num_attention_heads=4, encoder_layers=2,
        decoder_layers=3, dropout=0.0,
    )  # fmt: skip
    model = transformers.Mask2FormerForUniversalSegmentation(config)
    _teach(model)
    model.save_pretrained(folder)
    transformers.Mask2FormerImageProcessor(size={"height": SIZE[0], "width": SIZE[1]}).save_pretrained(folder)


def _teach(model: transformers.Mask2FormerForUniversalSegmentation) -> None:
    import torch

    cells = np.kron(np.arange(QUERIES).reshape(_GRID), np.ones((SIZE[0] // 4 // _GRID[0], SIZE[1] // 4 // _GRID[1])))
    wanted = torch.from_numpy(np.stack([cells == i for i in range(QUERIES)])).float()[None]
    classes = torch.arange(QUERIES)[None] % 6
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # so small a model gains nothing by more, and on a busy machine they wait for each other
    model.train()
    for step in range(_STEPS):
        picture = tiles(*SIZE, seed=step)[..., ::-1] / 255
        pixels = torch.from_numpy(((picture - _MEAN) / _STD).transpose(2, 0, 1)[None].astype(np.float32))
        found = model(pixel_values=pixels)
        loss = torch.nn.functional.cross_entropy(found.class_queries_logits.flatten(0, 1), classes.flatten())
        masks = found.masks_queries_logits
        loss = loss + 4 * torch.nn.functional.binary_cross_entropy_with_logits(masks, wanted, 1 + 4 * wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    torch.set_num_threads(threads)
    model.eval()
