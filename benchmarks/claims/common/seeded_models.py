"""A folder of models of true size. A missing model is made there if the packages that make it are installed.

Weights are random with a fixed seed, except those of YOLOv8n-seg if its checkpoint is in `shared/`. Costs are therefore
true, and results have no meaning. Contents of the folder:

    NAME/, NAME-fp16/, NAME-int8/       our exports, each in one graph (`--dense`)
    NAME-cut/                           a YOLO segmenter, cut into parts that compute only what can be selected
    NAME.pt, NAME.HxW.torchscript       the same model for ultralytics, and for PyTorch alone with one input size
    NAME-weights/, clip-weights/        models of transformers, and CLIP, in transformers' format
    small-NAME*/                        small models of transformers from the tests: small files, no true costs
    clip-hollow/PRECISION/              our exports of CLIP without the weights of `clip-weights/`: `stripped_graphs`
    operations.json                     operations of each network for one picture of its default size
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast
from unittest import mock

from claims.common import harness
from claims.common.seeded_weights import SMALL, TRAINED, save_script, seed_clip, seed_family, seed_segmenter
from claims.common.stripped_graphs import restore_weights, strip_weights
from claims.transformers_families import CASES
from support import small_transformers

# isort: split
import numpy as np
from numpy.typing import NDArray

from fastsam_bench.roofline.operations import count
from fastsam_engine import find_graph, read_spec
from fastsam_engine.spec.model_input import ImageInput

CLIP = "clip-vit-base-patch32"
_LARGE_BYTES, _MIN_STRIPPED = 1 << 20, 0.95
_RANDOM_WEIGHTS = {"min_class_agreement": 0.5, "max_abs_score": 1e-2}  # bounds
_OPERATIONS, _STRIPPED = "operations.json", "clip-hollow"


class Models:
    """A folder of models. Its methods make what is missing, except `export_folder` and `knows_operations`.

    Errors of the packages that make a model are passed on; a missing package raises `BenchmarkError`.
    """

    def __init__(self, folder: Path, *, tiny_clip: bool = False) -> None:
        """Use a folder, which need not exist.

        Args:
            folder: Folder of the models.
            tiny_clip: Whether a missing CLIP is made with two layers, for a rehearsal with little memory.
        """
        self.folder, self._tiny_clip = folder, tiny_clip

    def export_folder(self, name: str, precision: str) -> Path:
        """The folder of an export, which need not exist."""
        return self.folder / (name if precision == "fp32" else f"{name}-{precision}")

    def export(self, name: str, precision: str, calibration: Path | None = None) -> Path:
        """Our export of a segmenter or of CLIP: its folder.

        Args:
            name: A key of `SEGMENTERS`, `transformers_families.CASES` or `SMALL`, or `CLIP`.
            precision: `fp32`, `fp16` or `int8`.
            calibration: Folder of pictures, required for int8.
        """
        folder = self.export_folder(name, precision)
        if any(folder.glob("*.onnx")):
            return folder
        if name == CLIP and any(self._stripped(precision).glob("*.onnx")):
            self._restore_clip(precision)
        else:
            harness.require("torch", "onnx")
            from fastsam_export import export_model

            with _bounds_of(name):
                export_model(
                    name,
                    weights=self.clip_weights() if name == CLIP else self.weights(name),
                    imgsz=small_transformers.SIZE if name in SMALL else CASES[name].size if name in CASES else None,
                    out=folder,
                    precision=cast("Any", precision),
                    calibration=calibration,
                    dense=True,
                )
        return folder

    def pair(self, name: str) -> tuple[Path, Path]:
        """Our fp32 exports of a YOLO segmenter as one dense graph, and cut into parts: their folders.

        Args:
            name: A name that `seeded_weights.segmenter` knows.
        """
        from fastsam_export import cut_model

        dense = self.export(name, "fp32")
        return dense, self._made(self.folder / f"{name}-cut", lambda to: cut_model(dense, out=to))

    def weights(self, name: str) -> Path:
        """The weights of a segmenter: ultralytics' checkpoint, or a folder in transformers' format."""
        if name in CASES or name in SMALL:
            return self._made(self.folder / f"{name}-weights", lambda path: seed_family(name, path))
        return self._made(self.folder / f"{name}.pt", lambda path: seed_segmenter(name, path))

    def script(self, name: str, height: int, width: int) -> Path:
        """A segmenter's network as TorchScript in fp32, with one input size, px, and any batch."""
        path = self.folder / f"{name}.{height}x{width}.torchscript"
        return self._made(path, lambda target: save_script(self.weights(name), height, width, target))

    def clip_weights(self) -> Path:
        """CLIP's folder in transformers' format."""
        tiny = self._tiny_clip and not (self.folder / _STRIPPED).exists()  # stripped graphs are of the true size
        return self._made(self.folder / "clip-weights", lambda path: seed_clip(path, tiny=tiny))

    def stripped_clip(self, precision: str) -> Path:
        """The folder of our export of CLIP without its weights: a few hundred KB instead of 600 MB."""
        to = self._stripped(precision)
        return self._made(to, lambda target: self._strip_files(self.export(CLIP, precision), target))

    def operations(self, name: str) -> float:
        """Operations of a segmenter's network, or CLIP's image tower, for one picture of its default size."""
        known = self._operations()
        if name not in known:
            harness.require("onnx")
            graph = find_graph(self.export(name, "fp32"), "image" if name == CLIP else "")
            image = read_spec(graph).input
            if not isinstance(image, ImageInput):
                raise harness.BenchmarkError(f"expected a model that takes pictures, found {graph}")
            known[name] = count(graph, {image.name: (1, 3, image.height, image.width)}).operations
            (self.folder / _OPERATIONS).write_text(json.dumps(known))
        return known[name]

    def knows_operations(self, name: str) -> bool:
        """Whether the operations of a model are counted already."""
        return name in self._operations()

    def _operations(self) -> dict[str, float]:
        path = self.folder / _OPERATIONS
        known: dict[str, float] = json.loads(path.read_text()) if path.is_file() else {}
        return known

    def _stripped(self, precision: str) -> Path:
        return self.folder / _STRIPPED / precision

    def _strip_files(self, export: Path, to: Path) -> None:
        to.mkdir()
        weights = self._clip_arrays()
        for path in export.iterdir():
            if path.suffix != ".onnx":
                shutil.copyfile(path, to / path.name)
                continue
            share = strip_weights(path, weights, to / path.name)
            if share < _MIN_STRIPPED and path.stat().st_size > _LARGE_BYTES:
                raise harness.BenchmarkError(f"expected CLIP's weights in {path.name}, found only {share:.0%} of them")

    def _restore_clip(self, precision: str) -> None:
        """Make a whole export from a stripped one. If the weights differ from the original ones, the spec says so."""
        from fastsam_export.onnx_file import sha256, write_spec

        harness.require("onnx")
        folder = self.clip_weights()
        weights, digest = self._clip_arrays(), sha256(folder)

        def make(target: Path) -> None:
            target.mkdir()
            for path in self._stripped(precision).iterdir():
                if path.suffix != ".onnx":
                    shutil.copyfile(path, target / path.name)
                    continue
                restore_weights(path, weights, target / path.name)
                spec = read_spec(target / path.name)
                if spec.source is not None and spec.source.weights_sha256 not in ("", digest):
                    source = dataclasses.replace(spec.source, weights_sha256=digest)
                    write_spec(target / path.name, dataclasses.replace(spec, source=source, parity=None))

        self._made(self.export_folder(CLIP, precision), make)

    def _clip_arrays(self) -> dict[str, NDArray[Any]]:
        from safetensors.numpy import load_file

        arrays: dict[str, NDArray[Any]] = load_file(self.clip_weights() / "model.safetensors")
        return {name: array.astype(np.float32) for name, array in arrays.items()}

    def _made(self, path: Path, make: Callable[[Path], object]) -> Path:
        """A file or folder, made under another name first, so that an interrupted run leaves no half of it."""
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self.folder) as staging:
                target = Path(staging) / path.name
                make(target)
                target.replace(path)
        return path


@contextmanager
def _bounds_of(name: str) -> Iterator[None]:
    """Let YOLO segmenters of random weights be exported, whose classes are nearly tied in many places.

    The differences are recorded all the same, and cut parts are compared with their dense graph as always.
    """
    from fastsam_export.frameworks.ultralytics_models import UltralyticsFamily

    bounds = dict(UltralyticsFamily.tolerance)
    if name not in TRAINED:
        bounds |= _RANDOM_WEIGHTS
    with mock.patch.object(UltralyticsFamily, "tolerance", bounds):
        yield
