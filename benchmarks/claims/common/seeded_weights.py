"""Seeded weights of models of true size, in the formats of ultralytics, transformers and TorchScript."""

from __future__ import annotations

import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from claims.common import harness
from claims.common.seeded_clip import save_clip
from claims.transformers_families import CASES

# isort: split
import numpy as np

if TYPE_CHECKING:
    import torch

sys.path.append(str(Path(__file__).resolve().parents[3] / "tests"))

from support import small_transformers

SMALL = {f"small-{name}": name for name in small_transformers.FAMILIES}
TRAINED = ("yolov8n-seg",)  # its checkpoint is used if it is in `shared/`; the weights of the others are random
_TRAINED_FOLDER = harness.SHARED / "models"
_LOGITS = (-6.0, 1.0)  # mean and deviation of class logits, so that a few dozen of all anchors are likely
_LEVEL_LOGITS = (0.0, 0.5, 0.8)  # added per level, so that the few cells of high levels have their share of segments
_BOX_CELLS = (2.5, 3.0, 4.0)  # from the anchor to each side of a box, per level: boxes of 40, 96 and 256 px
_VARIANCE_FACTORS = {"n": 1.0, "s": 1.04, "m": 1.04, "l": 1.06, "x": 1.06}  # by size, see `Segmenter`
_PICTURES = (8, 640, 640)  # pictures for the statistics of batch norms: number, height and width, px


@dataclass(frozen=True, slots=True)
class Segmenter:
    """A segmenter of ultralytics.

    Attributes:
        layout: ultralytics' file of its layers.
        classes: Number of classes.
        imgsz_px: Longest side of its input.
        variance_factor: Factor for the variances of batch norms. In a deep network of random weights rounding errors
            would otherwise grow from layer to layer until no two runtimes agree.
    """

    layout: str
    classes: int
    imgsz_px: int
    variance_factor: float = 1.0


SEGMENTERS = {
    "yolov8n-seg": Segmenter("yolov8n-seg.yaml", 80, 640),
    "yolo26n-seg": Segmenter("yolo26n-seg.yaml", 80, 640),
    "fastsam-s": Segmenter("yolov8s-seg.yaml", 1, 1024),
    "fastsam-x": Segmenter("yolov8x-seg.yaml", 1, 1024, variance_factor=_VARIANCE_FACTORS["x"]),
}


def segmenter(name: str) -> Segmenter:
    """A segmenter of `SEGMENTERS`, or any YOLOv8-seg, YOLO11-seg or YOLO26-seg, such as `yolo11s-seg`.

    Raises:
        BenchmarkError: It is none of these.
    """
    if name in SEGMENTERS:
        return SEGMENTERS[name]
    if not re.fullmatch(r"yolo(v8|11|26)[nsmlx]-seg", name):
        known = ", ".join(SEGMENTERS)
        raise harness.BenchmarkError(f"expected {known}, or a name such as yolo11s-seg, found {name}")
    return Segmenter(f"{name}.yaml", 80, 640, variance_factor=_VARIANCE_FACTORS[name.removesuffix("-seg")[-1]])


def load_ultralytics(path: Path | str) -> Any:
    """Open a checkpoint in ultralytics, offline, and keep the numbers of threads of OpenCV and PyTorch."""
    harness.require("ultralytics", "torch")
    import cv2
    import torch

    threads = cv2.getNumThreads(), torch.get_num_threads()
    os.environ.update(YOLO_OFFLINE="true", YOLO_AUTOINSTALL="false", YOLO_VERBOSE="false")
    import ultralytics

    loaded = ultralytics.YOLO(str(path), task="segment")
    cv2.setNumThreads(threads[0])
    torch.set_num_threads(threads[1])
    return loaded


def seed_segmenter(name: str, path: Path) -> None:
    """Save seeded weights, or copy the trained ones.

    Random weights let features fade from layer to layer, so the batch norms take their statistics from pictures first.
    """
    if (trained := _TRAINED_FOLDER / path.name).is_file():
        shutil.copyfile(trained, path)
        return
    wanted = segmenter(name)
    yolo = load_ultralytics(wanted.layout)
    import torch
    from ultralytics.nn.tasks import SegmentationModel

    from fastsam_export.parity import synthetic_pictures

    torch.manual_seed(0)
    network = SegmentationModel(wanted.layout, nc=wanted.classes, verbose=False)
    norms = [each for each in network.modules() if isinstance(each, torch.nn.BatchNorm2d)]
    momentum = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = None  # a plain mean over the pictures
    pictures = np.stack(synthetic_pictures(*_PICTURES)).transpose(0, 3, 1, 2).astype(np.float32) / 255
    network.train()
    with torch.no_grad():
        for _ in range(2):
            network(torch.from_numpy(pictures))
    network.eval()
    for norm, before in zip(norms, momentum, strict=True):
        norm.momentum = before
        norm.running_var.mul_(wanted.variance_factor)
    _adjust_head(network, torch.from_numpy(pictures))
    network.names = {index: f"class {index}" for index in range(wanted.classes)}
    network.args, network.task = yolo.model.args, yolo.model.task
    yolo.model = network
    yolo.save(str(path))


def _adjust_head(network: torch.nn.Module, pictures: torch.Tensor) -> None:
    """Adjust a head of random weights: it finds something, and masks have connected parts instead of single pixels.

    Without it all boxes would be large ones of the last level. An end-to-end head keeps the highest scores: if scores
    were nearly equal, every runtime would rank them otherwise.
    """
    import torch

    head = network.model[-1]
    for coefficients in getattr(head, "one2one_cv4", head.cv4):
        coefficients[-1].bias.data.fill_(1)
    end_to_end = hasattr(head, "one2one_cv3")
    if not end_to_end:
        for boxes, cells in zip(head.cv2, _BOX_CELLS, strict=True):
            bins = torch.arange(head.reg_max, dtype=torch.float32)
            boxes[-1].bias.data.copy_(-((bins - cells) ** 2).repeat(4))
    seen: dict[torch.nn.Module, torch.Tensor] = {}
    last = [scores[-1] for scores in (head.one2one_cv3 if end_to_end else head.cv3)]
    hooks = [each.register_forward_hook(lambda layer, _, logits: seen.update({layer: logits})) for each in last]
    with torch.no_grad():
        network(pictures)
        for layer, more in zip(last, (0.0,) * len(last) if end_to_end else _LEVEL_LOGITS, strict=True):
            logits = seen[layer]
            usual, times = logits.mean(dim=(0, 2, 3)), _LOGITS[1] / logits.std()
            layer.bias.copy_((layer.bias - usual) * times + _LOGITS[0] + more)
            layer.weight.mul_(times)
    for hook in hooks:
        hook.remove()


def seed_family(name: str, folder: Path) -> None:
    """Save a model of transformers."""
    harness.require("torch", "transformers")
    import torch

    torch.manual_seed(0)
    if name in SMALL:
        getattr(small_transformers, f"save_{SMALL[name]}")(folder)
    else:
        CASES[name].make(folder)


def save_script(weights: Path, height: int, width: int, path: Path) -> None:
    """Save a segmenter's network as TorchScript, for one input size, px."""
    network = load_ultralytics(weights).model.float().eval().fuse(verbose=False)
    import torch

    class Raw(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            made = self.network(images)
            detections, prototypes = made[0] if isinstance(made[0], tuple) else made
            return detections, prototypes

    raw, example = Raw().requires_grad_(requires_grad=False), torch.zeros(1, 3, height, width)
    raw(example)  # computes the anchors of this size, which are traced as constants
    torch.jit.trace(raw, example, check_trace=False).save(str(path))


def seed_clip(folder: Path, *, tiny: bool) -> None:
    """Save CLIP ViT-B/32 with the demo's small tokenizer. Weights are rounded to fp16, so that all copies are equal."""
    harness.require("torch", "transformers")
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    torch.manual_seed(0)
    save_clip(folder, tiny=tiny)
    transformers.CLIPModel.from_pretrained(folder).half().save_pretrained(folder)
