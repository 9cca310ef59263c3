"""Models for both sides: a checkpoint for the peer, and our export of the same weights."""

from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import import_paths  # noqa: F401 - makes the next imports possible

# isort: split
from claims.common import harness
from claims.common.seeded_clip import save_clip
from claims.transformers_families import CASES
from fastsam_engine import find_graph, read_spec
from fastsam_engine.store.atomic_files import file_sha256

SEED = 0
DETR_SIZE = CASES["detr"].size


@dataclass(frozen=True, slots=True)
class Twins:
    """A model in both formats: the folder of the peer's weights, and that of our export."""

    weights: Path
    ours: Path


class SeededModels:
    """CLIP and DETR of true size with seeded weights, in a folder; missing ones are made."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def clip(self) -> Twins:
        """CLIP ViT-B/32."""
        return self._twins("clip", _make_clip, "image")

    def detr(self) -> Twins:
        """DETR panoptic, ResNet-50, for pictures of 480 x 640."""
        return self._twins("detr", _make_detr)

    def _twins(self, name: str, make: Callable[[Path, Path], None], part: str | None = None) -> Twins:
        found = Twins(self._folder / f"{name}-weights", self._folder / name)
        if not found.weights.exists() or not found.ours.exists():
            harness.require("torch", "transformers", "onnx")
            making = self._folder / f"{name}-making"
            shutil.rmtree(making, ignore_errors=True)
            making.mkdir(parents=True)
            # In another process, since PyTorch would change the threads of this one, which measures times.
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
                pool.submit(make, making / "weights", making / "ours").result()
            for target, folder in ((found.weights, making / "weights"), (found.ours, making / "ours")):
                shutil.rmtree(target, ignore_errors=True)
                folder.rename(target)
            making.rmdir()
        graph = find_graph(found.ours, part) if part else find_graph(found.ours)
        if read_spec(graph).source.weights_sha256 != file_sha256(found.weights / "model.safetensors"):
            raise harness.BenchmarkError(
                f"expected {found.ours} to be exported from {found.weights}, found other weights; remove both"
            )
        return found


def _make_clip(weights: Path, out: Path) -> None:
    import torch

    from fastsam_export import export_model

    torch.manual_seed(SEED)
    export_model("clip", weights=save_clip(weights), out=out)


def _make_detr(weights: Path, out: Path) -> None:
    import torch

    from fastsam_export import export_model

    torch.manual_seed(SEED)
    CASES["detr"].make(weights)
    export_model("detr", weights=weights, imgsz=DETR_SIZE, out=out)
