"""Models of true size: found in a folder, or made there where what makes them is installed.

Weights are seeded, but for YOLOv8n-seg where its checkpoint lies in `shared/`: costs are true, meaning is not. Layout:

    NAME/, NAME-fp16/, NAME-int8/       our exports
    NAME.pt, NAME.HxW.torchscript       the same for ultralytics, and for PyTorch without it, for one size of input
    NAME-weights/, clip-weights/        families of transformers, and CLIP, in its form
    small-NAME*/                        families of transformers as the tests have them: no true costs, little to carry
    clip-hollow/PRECISION/              our exports of CLIP without what `clip-weights/` holds, see `hollow_graphs.py`
    operations.json                     of each network, for one picture of its usual size
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from claims.common import harness
from claims.common.hollow_graphs import fill, hollow
from claims.common.seeded_clip import save_clip
from claims.transformers_families import CASES

# isort: split
import numpy as np
from numpy.typing import NDArray

from fastsam_bench.roofline.operations import count
from fastsam_engine import find_graph, read_spec
from fastsam_engine.spec.model_input import ImageInput

if TYPE_CHECKING:
    import torch

sys.path.append(str(Path(__file__).resolve().parents[3] / "tests"))

from support import small_transformers

CLIP = "clip-vit-base-patch32"
_LARGE_BYTES, _LEAST_HOLLOW = 1 << 20, 0.95
_OPERATIONS, _HOLLOW = "operations.json", "clip-hollow"
TRAINED = ("yolov8n-seg",)  # where its checkpoint is in `shared/`; the others' weights are drawn
SMALL = {f"small-{name}": name for name in small_transformers.FAMILIES}
_TRAINED = harness.SHARED / "models"
_LOGITS = (-6.0, 1.0)  # of classes: mean and deviation, so that a few dozen of all anchors are likely
_DRAWN = (8, 640, 640)  # pictures that batch norms take their statistics from: how many, and their size, px


@dataclass(frozen=True, slots=True)
class Segmenter:
    """A segmenter of ultralytics.

    Attributes:
        layout: In their words.
        classes: Their number.
        imgsz_px: Longest side of its input.
        room: Factor of the variances that a layer expects: in a deep one of fresh weights rounding grows from layer to
            layer without it, and no two runtimes agree.
    """

    layout: str
    classes: int
    imgsz_px: int
    room: float = 1.0


SEGMENTERS = {
    "yolov8n-seg": Segmenter("yolov8n-seg.yaml", 80, 640),
    "yolo26n-seg": Segmenter("yolo26n-seg.yaml", 80, 640),
    "fastsam-s": Segmenter("yolov8s-seg.yaml", 1, 1024),
    "fastsam-x": Segmenter("yolov8x-seg.yaml", 1, 1024, room=1.04),
}


class Models:
    """A folder of models; what its methods return is made first where it is not there, but by `place` and `knows_...`.

    What can't be made raises: a package is missing, or its own error.
    """

    def __init__(self, folder: Path, *, tiny_clip: bool = False) -> None:
        """Use a folder, which need not be there.

        Args:
            folder: Of the models.
            tiny_clip: Whether a CLIP that has to be made is of two layers, to rehearse with little memory.
        """
        self.folder, self._tiny_clip = folder, tiny_clip

    def place(self, name: str, precision: str) -> Path:
        """The folder of an export, which need not be there."""
        return self.folder / (name if precision == "fp32" else f"{name}-{precision}")

    def export(self, name: str, precision: str, calibration: Path | None = None) -> Path:
        """The folder of our export of a segmenter or of CLIP.

        Args:
            name: Of `SEGMENTERS`, of `transformers_families.CASES`, of `SMALL`, or `CLIP`.
            precision: `fp32`, `fp16`, or `int8`, which takes a folder of pictures.
            calibration: That folder.
        """
        folder = self.place(name, precision)
        if any(folder.glob("*.onnx")):
            return folder
        if name == CLIP and any(self._hollow(precision).glob("*.onnx")):
            self._fill_clip(precision)
        else:
            harness.require("torch", "onnx")
            from fastsam_export import export_model

            export_model(
                name,
                weights=self.clip_weights() if name == CLIP else self.weights(name),
                imgsz=small_transformers.SIZE if name in SMALL else CASES[name].size if name in CASES else None,
                out=folder,
                precision=cast("Any", precision),
                calibration=calibration,
            )
        return folder

    def weights(self, name: str) -> Path:
        """A segmenter's checkpoint as ultralytics opens it, or its folder in transformers' form."""
        if name in CASES or name in SMALL:
            return self._made(self.folder / f"{name}-weights", lambda path: _seed_family(name, path))
        return self._made(self.folder / f"{name}.pt", lambda path: _seed(name, path))

    def script(self, name: str, height: int, width: int) -> Path:
        """A segmenter's network as TorchScript in fp32, for inputs of one size, px, and any number of pictures."""
        path = self.folder / f"{name}.{height}x{width}.torchscript"
        return self._made(path, lambda part: _trace(self.weights(name), height, width, part))

    def clip_weights(self) -> Path:
        """CLIP's folder in transformers' form."""
        tiny = self._tiny_clip and not (self.folder / _HOLLOW).exists()  # whose graphs are of the true size
        return self._made(self.folder / "clip-weights", lambda path: _seed_clip(path, tiny=tiny))

    def hollow_clip(self, precision: str) -> Path:
        """The folder of our export of CLIP without its weights: a few hundred KB to carry in place of 600 MB."""
        to = self._hollow(precision)
        return self._made(to, lambda part: self._hollow_files(self.export(CLIP, precision), part))

    def operations(self, name: str) -> float:
        """Operations of a segmenter's network, or CLIP's image tower, for one picture of its usual size."""
        found = self._operations()
        if name not in found:
            harness.require("onnx")
            graph = find_graph(self.export(name, "fp32"), "image" if name == CLIP else "")
            image = read_spec(graph).input
            if not isinstance(image, ImageInput):
                raise harness.BenchmarkError(f"expected a model that takes pictures, found {graph}")
            found[name] = count(graph, {image.name: (1, 3, image.height, image.width)}).operations
            (self.folder / _OPERATIONS).write_text(json.dumps(found))
        return found[name]

    def knows_operations(self, name: str) -> bool:
        """Whether they need not be counted."""
        return name in self._operations()

    def _operations(self) -> dict[str, float]:
        kept = self.folder / _OPERATIONS
        found: dict[str, float] = json.loads(kept.read_text()) if kept.is_file() else {}
        return found

    def _hollow(self, precision: str) -> Path:
        return self.folder / _HOLLOW / precision

    def _hollow_files(self, export: Path, to: Path) -> None:
        to.mkdir()
        weights = self._clip_arrays()
        for path in export.iterdir():
            if path.suffix != ".onnx":
                shutil.copyfile(path, to / path.name)
            elif (gone := hollow(path, weights, to / path.name)) < _LEAST_HOLLOW and path.stat().st_size > _LARGE_BYTES:
                raise harness.BenchmarkError(f"expected CLIP's weights in {path.name}, found {gone:.2f} of them")

    def _fill_clip(self, precision: str) -> None:
        """Make the whole export of a hollow one; what is not of the weights that it was made with says so."""
        from fastsam_export.onnx_file import sha256, write_spec

        harness.require("onnx")
        folder = self.clip_weights()
        weights, digest = self._clip_arrays(), sha256(folder)

        def make(part: Path) -> None:
            part.mkdir()
            for path in self._hollow(precision).iterdir():
                if path.suffix != ".onnx":
                    shutil.copyfile(path, part / path.name)
                    continue
                fill(path, weights, part / path.name)
                spec = read_spec(part / path.name)
                if spec.source is not None and spec.source.weights_sha256 not in ("", digest):
                    source = dataclasses.replace(spec.source, weights_sha256=digest)
                    write_spec(part / path.name, dataclasses.replace(spec, source=source, parity=None))

        self._made(self.place(CLIP, precision), make)

    def _clip_arrays(self) -> dict[str, NDArray[Any]]:
        from safetensors.numpy import load_file

        found: dict[str, NDArray[Any]] = load_file(self.clip_weights() / "model.safetensors")
        return {name: array.astype(np.float32) for name, array in found.items()}

    def _made(self, path: Path, make: Callable[[Path], None]) -> Path:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self.folder) as staging:
                part = Path(staging) / path.name
                make(part)
                part.replace(path)
        return path


def load_ultralytics(path: Path | str) -> Any:
    """A checkpoint as ultralytics opens it, with the threads of others left as they were; it fetches nothing."""
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


def _seed(name: str, path: Path) -> None:
    """Save seeded weights, or copy the trained ones.

    Fresh weights let features fade from layer to layer, so the batch norms take their statistics from pictures first.
    """
    if (trained := _TRAINED / path.name).is_file():
        shutil.copyfile(trained, path)
        return
    wanted = SEGMENTERS[name]
    yolo = load_ultralytics(wanted.layout)
    import torch
    from ultralytics.nn.tasks import SegmentationModel

    from fastsam_export.parity import synthetic_pictures

    torch.manual_seed(0)
    network = SegmentationModel(wanted.layout, nc=wanted.classes, verbose=False)
    norms = [each for each in network.modules() if isinstance(each, torch.nn.BatchNorm2d)]
    momentum = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = None  # the plain mean of what it sees
    drawn = np.stack(synthetic_pictures(*_DRAWN)).transpose(0, 3, 1, 2).astype(np.float32) / 255
    network.train()
    with torch.no_grad():
        for _ in range(2):
            network(torch.from_numpy(drawn))
    network.eval()
    for norm, before in zip(norms, momentum, strict=True):
        norm.momentum = before
        norm.running_var.mul_(wanted.room)
    _make_sure(network, torch.from_numpy(drawn))
    network.names = {index: f"class {index}" for index in range(wanted.classes)}
    network.args, network.task = yolo.model.args, yolo.model.task
    yolo.model = network
    yolo.save(str(path))


def _make_sure(network: torch.nn.Module, drawn: torch.Tensor) -> None:
    """Have a head of fresh weights find something, and masks of parts that hang together, not of single pixels."""
    import torch

    head = network.model[-1]
    for coefficients in getattr(head, "one2one_cv4", head.cv4):
        coefficients[-1].bias.data.fill_(1)
    if not hasattr(head, "one2one_cv3"):
        return
    # This one keeps what ranks first: scores must not be all but equal, or any copy of it ranks them anew.
    seen: dict[torch.nn.Module, torch.Tensor] = {}
    last = [scores[-1] for scores in head.one2one_cv3]
    hooks = [each.register_forward_hook(lambda layer, _, logits: seen.update({layer: logits})) for each in last]
    with torch.no_grad():
        network(drawn)
        for layer, logits in seen.items():
            usual, times = logits.mean(dim=(0, 2, 3)), _LOGITS[1] / logits.std()
            layer.bias.copy_((layer.bias - usual) * times + _LOGITS[0])
            layer.weight.mul_(times)
    for hook in hooks:
        hook.remove()


def _seed_family(name: str, folder: Path) -> None:
    """Save a family of transformers."""
    harness.require("torch", "transformers")
    import torch

    torch.manual_seed(0)
    if name in SMALL:
        getattr(small_transformers, f"save_{SMALL[name]}")(folder)
    else:
        CASES[name].make(folder)


def _trace(weights: Path, height: int, width: int, path: Path) -> None:
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
    raw(example)  # makes the anchors of this size, which are traced as constants
    torch.jit.trace(raw, example, check_trace=False).save(str(path))


def _seed_clip(folder: Path, *, tiny: bool) -> None:
    """CLIP ViT-B/32 and the demo's small tokenizer; weights are rounded to fp16, so that no copy of them differs."""
    harness.require("torch", "transformers")
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    torch.manual_seed(0)
    save_clip(folder, tiny=tiny)
    transformers.CLIPModel.from_pretrained(folder).half().save_pretrained(folder)
