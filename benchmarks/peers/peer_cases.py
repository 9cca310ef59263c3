"""The case of each peer: models, pictures and options of both sides, and the bounds of their agreement."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import import_paths  # noqa: F401 - makes the next imports possible

# isort: split
import cv2
import numpy as np
from agreement import Bounds
from numpy.typing import NDArray
from our_side import Wanted
from pins import HERE
from same_models import DETR_SIZE, SeededModels

from claims.common import harness, reference
from fastsam_trt.frames.image import read_image

_CONF, _IOU, _FASTSAM_IOU = 0.25, 0.7, 0.9
_NEAR = 0.05  # rounding may move scores this close to the threshold across it
_KEPT = 10


@dataclass(frozen=True, slots=True)
class PeerCase:
    """The sides of a peer, and ours.

    Attributes:
        peer: Name of the peer and its environment.
        script: The worker.
        sides: Name of each side of the peer to the options of its worker.
        version_of: The package whose version is that of the peer.
        model: Name of the model on both sides.
        wanted: The request for our pipeline.
        bounds: How far results may differ.
        pictures: Name to picture, (H, W, 3) uint8 BGR.
        note: What is compared.
    """

    peer: str
    script: Path
    sides: Mapping[str, Mapping[str, Any]]
    version_of: str
    model: str
    wanted: Wanted
    bounds: Bounds
    pictures: Mapping[str, NDArray[np.uint8]]
    note: str


def make_case(peer: str, args: argparse.Namespace, models: SeededModels) -> PeerCase:
    """Prepare the case of a peer; missing models are made.

    Raises:
        BenchmarkError: Weights or pictures are missing, or our export has other weights.
    """
    make = {"ultralytics": _ultralytics, "fastsam-clip": _fastsam_clip, "transformers": _transformers}[peer]
    return make(args, models)


def _ultralytics(args: argparse.Namespace, models: SeededModels) -> PeerCase:
    del models  # the weights are real, not seeded
    reference.check_same_weights(args.model, args.weights)
    device = _theirs(args.device)
    common = {"weights": str(args.weights), "device": device, "conf": _CONF, "iou": _IOU}
    sides = {
        "ultralytics PyTorch": {**common, "variant": "pytorch", "frame_masks": True},
        "ultralytics PyTorch, small masks": {**common, "variant": "pytorch", "frame_masks": False},
        "ultralytics ONNX": {**common, "variant": "onnx", "frame_masks": True},
    }
    if device != "cpu":
        sides["ultralytics TensorRT"] = {**common, "variant": "engine", "frame_masks": True}
    return PeerCase(
        "ultralytics",
        HERE / "worker_ultralytics.py",
        sides,
        "ultralytics",
        args.weights.stem,
        Wanted(args.model, _CONF, _IOU),
        Bounds(counted=_CONF + _NEAR),
        _pictures(args.image),
        "all masks, on both sides",
    )


def _fastsam_clip(args: argparse.Namespace, models: SeededModels) -> PeerCase:
    reference.check_same_weights(args.model, args.weights)
    clip = models.clip()
    options = {
        "weights": str(args.weights), "clip": str(clip.weights), "prompt": args.prompt,
        "device": _theirs(args.device), "conf": _CONF, "iou": _FASTSAM_IOU,
    }  # fmt: skip
    return PeerCase(
        "fastsam-clip",
        HERE / "worker_fastsam_clip.py",
        {"FastSAM's way + CLIP, PyTorch": options},
        "torch",
        f"{args.weights.stem} + CLIP ViT-B/32 (seeded)",
        Wanted(args.model, _CONF, _FASTSAM_IOU, clip=clip.ours, prompt=args.prompt),
        Bounds(counted=_CONF + _NEAR),
        _pictures(args.image),
        "one mask, by text",
    )


def _transformers(args: argparse.Namespace, models: SeededModels) -> PeerCase:
    clip, detr = models.clip(), models.detr()
    options = {
        "detr": str(detr.weights), "clip": str(clip.weights), "prompt": args.prompt, "device": _theirs(args.device),
        "size": DETR_SIZE, "kept": _KEPT,
    }  # fmt: skip
    height, width = DETR_SIZE
    pictures = {
        name: np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        for name, picture in _pictures(args.image[:1]).items()
    }
    return PeerCase(
        "transformers",
        HERE / "worker_transformers.py",
        {"DETR + CLIP, transformers": options},
        "transformers",
        "DETR panoptic R50 + CLIP ViT-B/32 (both seeded)",
        Wanted(detr.ours, conf=0.0, most=_KEPT, clip=clip.ours, prompt=args.prompt, tight_boxes=True),
        Bounds(counted=0.0),
        pictures,
        f"one mask, by text; the {_KEPT} most confident queries",
    )


def _pictures(paths: list[Path]) -> dict[str, NDArray[np.uint8]]:
    harness.require(files=paths)
    return {path.name: read_image(path) for path in paths}


def _theirs(device: str) -> str:
    """PyTorch's name of a device."""
    return "cpu" if device == "cpu" else "cuda:0"
