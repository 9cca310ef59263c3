"""Small seeded YOLO segmenters in ultralytics' format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    import torch

from fastsam_export.parity import synthetic_pictures

CLASSES = {0: "circle", 1: "square", 2: "star"}
SIZE = (160, 192)  # height, width, px


def save_yolo(
    path: Path,
    config: str = "v8/yolov8-seg",
    classes: dict[int, str] = CLASSES,
    change: Callable[[torch.nn.Module], None] = lambda _: None,
) -> None:
    """Save a narrow segmenter with seeded weights.

    Args:
        path: File to write.
        config: One of ultralytics' configurations.
        classes: Class id to name.
        change: Changes the head in place.
    """
    import torch
    import ultralytics
    import yaml

    torch.manual_seed(0)
    layout = yaml.safe_load((Path(ultralytics.__file__).parent / "cfg" / "models" / f"{config}.yaml").read_text())
    own = path.with_name("small-seg.yaml")
    own.write_text(yaml.safe_dump({**layout, "nc": len(classes), "scales": {"n": [0.33, 0.125, 256]}}))
    yolo = ultralytics.YOLO(str(own), task="segment")
    change(yolo.model.model[-1])
    yolo.model.names = classes
    yolo.save(str(path))
    own.unlink()


def save_yolo26(path: Path, classes: dict[int, str] = CLASSES) -> None:
    """Save a YOLO26-seg of a few classes with a few dozen confident boxes in drawn pictures.

    Random weights let features fade from layer to layer, so the batch norms take their statistics from pictures first.
    """
    import torch
    import ultralytics
    import yaml

    torch.manual_seed(0)
    config = Path(ultralytics.__file__).parent / "cfg" / "models" / "26" / "yolo26-seg.yaml"
    if not config.is_file():
        pytest.skip(f"ultralytics {ultralytics.__version__} knows no YOLO26")
    layout = {**yaml.safe_load(config.read_text()), "nc": len(classes), "scales": {"n": [0.33, 0.125, 256]}}
    (path.parent / "yolo26n-seg.yaml").write_text(yaml.safe_dump(layout))
    yolo = ultralytics.YOLO(str(path.parent / "yolo26n-seg.yaml"), task="segment")
    _calibrate(yolo.model)
    yolo.model.names = classes
    yolo.save(str(path))
    (path.parent / "yolo26n-seg.yaml").unlink()


def _calibrate(network: torch.nn.Module) -> None:
    import torch

    pictures = np.stack(synthetic_pictures(8, *SIZE, seed=5)).transpose(0, 3, 1, 2).astype(np.float32) / 255
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the plain mean of what it sees
    network.train()
    with torch.no_grad():
        for _ in range(2):
            network(torch.from_numpy(pictures))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_var.mul_(1.2)  # room for pictures unlike these, so that nothing explodes on them
    network.eval()
    head = network.model[-1]
    for boxes, scores in zip(head.one2one_cv2, head.one2one_cv3, strict=True):
        boxes[-1].weight.data.mul_(20)
        boxes[-1].bias.data.fill_(3)
        scores[-1].weight.data.mul_(40)
        scores[-1].bias.data.fill_(-3)
