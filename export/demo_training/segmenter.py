"""Train a narrow one-class YOLOv8-seg by ultralytics' trainer, on drawn scenes with exact masks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", str(os.cpu_count()))  # ultralytics would use only one thread
os.environ.setdefault("YOLO_AUTOINSTALL", "false")

import cv2
import numpy as np
import torch
import ultralytics
import yaml
from numpy.typing import NDArray
from ultralytics.data.dataset import YOLODataset
from ultralytics.models.yolo.segment import SegmentationTrainer
from ultralytics.utils.torch_utils import strip_optimizer

from fastsam_trt.demo import Scene, draw_scene

SIDE_PX = 320
SCALE = [0.33, 0.1875, 512]  # depth, width, maximum channels: 1.3 M parameters
MASK_STRIDE = 2
THRESHOLDS = {"conf": 0.4, "iou": 0.6}  # shapes of a scene overlap less than the parts that FastSAM segments
FEWEST_PIXELS = 48  # items with fewer visible pixels get no label


class SceneDataset(torch.utils.data.Dataset[dict[str, Any]]):
    """Scenes that are drawn once, and rotated, mirrored and brightened at random whenever they are read."""

    def __init__(self, first_seed: int, count: int) -> None:
        self.samples = [_sample(draw_scene(first_seed + i, SIDE_PX, SIDE_PX, items=(1, 7))) for i in range(count)]
        self._generator = np.random.default_rng(first_seed)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """One sample in the format of ultralytics' segmentation datasets."""
        frame, labels = self.samples[index]
        turns, mirror = int(self._generator.integers(4)), bool(self._generator.integers(2))
        frame, labels = np.rot90(frame, turns), np.rot90(labels, turns)
        if mirror:
            frame, labels = frame[:, ::-1], labels[:, ::-1]
        gain = float(self._generator.uniform(0.85, 1.15))
        frame = cv2.convertScaleAbs(np.ascontiguousarray(frame), alpha=gain)
        numbers = [n for n in range(1, int(labels.max()) + 1) if (labels == n).sum() >= FEWEST_PIXELS]
        boxes = [_box(labels == n) for n in numbers]
        small = np.zeros((SIDE_PX // MASK_STRIDE,) * 2, np.uint8)
        for rank, number in enumerate(numbers, 1):
            part = cv2.resize((labels == number).astype(np.float32), small.shape, interpolation=cv2.INTER_AREA)
            small[part >= 0.5] = rank
        return {
            "im_file": f"scene-{index}",
            "ori_shape": (SIDE_PX, SIDE_PX),
            "resized_shape": (SIDE_PX, SIDE_PX),
            "img": torch.from_numpy(np.ascontiguousarray(frame[..., ::-1].transpose(2, 0, 1))),
            "cls": torch.zeros(len(numbers), 1),
            "bboxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
            "masks": torch.from_numpy(small)[None],
            "batch_idx": torch.zeros(len(numbers)),
        }


def _sample(scene: Scene) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The frame of a scene and a map of labels: 0 is background, i + 1 is item i."""
    numbers = np.arange(1, len(scene.items) + 1, dtype=np.uint8)
    labels: NDArray[np.uint8] = (scene.masks * numbers[:, None, None]).max(axis=0)
    return scene.frame, labels


def _box(mask: NDArray[np.bool_]) -> tuple[float, float, float, float]:
    """Centre x, y, width and height of a mask, relative to the side."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    return (
        (left + right) / 2 / SIDE_PX,
        (top + bottom) / 2 / SIDE_PX,
        (right - left) / SIDE_PX,
        (bottom - top) / SIDE_PX,
    )


class Loader(torch.utils.data.DataLoader[dict[str, Any]]):
    """A plain loader with the additional method that the trainer calls."""

    def reset(self) -> None:
        """Do nothing: no batch is prefetched."""


class SceneTrainer(SegmentationTrainer):
    """ultralytics' trainer on scenes in memory. Accuracy is measured afterwards, on the exported file."""

    scenes: SceneDataset

    def get_dataset(self) -> dict[str, Any]:
        """One class, and no files."""
        return {"train": "scenes", "val": "scenes", "nc": 1, "names": {0: "object"}, "channels": 3}

    def get_dataloader(self, dataset_path: str, batch_size: int = 16, rank: int = 0, mode: str = "train") -> Loader:
        """A loader of the scenes; the path and mode are ignored."""
        return Loader(
            self.scenes,
            batch_size,
            shuffle=True,
            drop_last=True,
            collate_fn=YOLODataset.collate_fn,
            generator=torch.Generator().manual_seed(self.args.seed),
        )

    def preprocess_batch(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Compute in bf16 if the CPU supports it natively.

        The trainer offers mixed precision on GPUs only. It calls this method inside the context of mixed precision,
        which restores the state after the step.
        """
        torch.set_num_threads(os.cpu_count() or 1)  # the trainer sets one thread
        if torch.ops.mkldnn._is_mkldnn_bf16_supported():  # noqa: SLF001 - it has no public name
            torch.set_autocast_dtype("cpu", torch.bfloat16)
            torch.set_autocast_enabled("cpu", True)
        return super().preprocess_batch(batch)

    def validate(self) -> tuple[dict[str, float], float]:
        """Skip validation during training; the last epoch is the result."""
        return {}, float(self.epoch)

    def final_eval(self) -> None:
        """Keep only the averaged weights."""
        strip_optimizer(self.last)


def train(folder: Path, *, scenes: int, epochs: int, seed: int) -> Path:
    """Train the model.

    Args:
        folder: Folder for the checkpoint and its log.
        scenes: Number of scenes.
        epochs: Number of epochs.
        seed: Seed of scenes, weights and order.

    Returns:
        The checkpoint, in ultralytics' format.
    """
    layout = Path(ultralytics.__file__).parent / "cfg" / "models" / "v8" / "yolov8-seg.yaml"
    config = folder / "demo-seg.yaml"
    config.write_text(yaml.safe_dump({**yaml.safe_load(layout.read_text()), "nc": 1, "scales": {"n": SCALE}}))
    SceneTrainer.scenes = SceneDataset(seed, scenes)
    trainer = SceneTrainer(
        overrides={
            "model": str(config),
            "imgsz": SIDE_PX,
            "epochs": epochs,
            "batch": 16,
            "nbs": 16,
            "optimizer": "AdamW",
            "lr0": 2e-3,
            "lrf": 0.02,
            "cos_lr": True,
            "weight_decay": 0.01,
            "warmup_epochs": 1,
            "amp": False,
            "mask_ratio": MASK_STRIDE,
            "device": "cpu",
            "seed": seed,
            "val": False,
            "plots": False,
            "project": str(folder),
            "name": "segmenter",
            "exist_ok": True,
            "close_mosaic": 0,
            "deterministic": False,
        }
    )
    trainer.train()
    return Path(trainer.last)
