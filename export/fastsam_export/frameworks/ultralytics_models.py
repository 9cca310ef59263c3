"""Load, trace and prove models of ultralytics (AGPL-3.0; this is the only module that imports it)."""

from __future__ import annotations

import os
import shutil
import zipfile
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fastsam_engine.errors import one_line
from fastsam_engine.spec.model_spec import ModelSpec, Output, Source
from fastsam_engine.spec.yolo_seg import is_fastsam, letterbox_input, prototypes_output, thresholds
from fastsam_engine.store.catalog import CATALOG
from fastsam_engine.store.home_folder import expand_user
from fastsam_export.errors import ExportError, ExportSizeError, WeightsNotFoundError, WeightsUnreachableError
from fastsam_export.family import Exported, ExportRequest, Family
from fastsam_export.frameworks.downloads import is_network_error, why_unreachable
from fastsam_export.helper_graphs import export_helpers
from fastsam_export.onnx_file import sha256, versions, write_spec
from fastsam_export.parity import describe, fp32_sessions, synthetic_pictures
from fastsam_export.proof import PYTORCH, prove

if TYPE_CHECKING:
    import torch
    import ultralytics

_OPSET = 18
_HOST = "github.com"  # from which ultralytics fetches weights
_ONE_TO_ONE_HEAD = "one2one_cv2"  # a module that only end-to-end models have
_HEADS = {False: "raw predictions (for NMS)", True: "an end-to-end head (no NMS)"}

Outputs = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Detections in the layout of the family, and prototypes (n, c, ph, pw)."""


class UltralyticsFamily(Family):
    """One graph with dynamic height and width, multiples of the stride: `output0` detections, `output1` prototypes."""

    packages = ("ultralytics", "onnx", "onnxslim")
    end_to_end: ClassVar[bool]
    """Whether the graph outputs detections that need no NMS."""
    tolerance: ClassVar[Mapping[str, float]] = {
        "max_abs_score": 1e-3,
        "max_abs_box_px": 0.1,
        "max_abs_prototype": 1e-2,
        "min_box_iou": 0.99,
        "min_mask_iou": 0.98,
        "min_class_agreement": 1.0,
    }

    @abstractmethod
    def detections(self, classes: int) -> Output:
        """The spec of `output0`, for a number of classes."""

    @abstractmethod
    def compare(self, expected: Outputs, found: Outputs, classes: int) -> dict[str, float]:
        """Compute the metrics of `tolerance` from the outputs of PyTorch (`expected`) and of the graph (`found`)."""

    def finish(self, graph: Path) -> None:
        """Change the traced graph, in place, before it is proven. Most families change nothing."""

    def recognises(self, weights: Path) -> bool:
        if weights.suffix != ".pt":
            return False
        if expand_user(weights).is_file():
            return _is_end_to_end(expand_user(weights)) == self.end_to_end
        published = {row.origin: row.family for row in CATALOG.values()}
        return published[weights.name] == self.name if weights.name in published else not self.end_to_end

    def export(self, request: ExportRequest, folder: Path, step: Callable[[str], None]) -> list[Exported]:
        os.environ.setdefault("YOLO_AUTOINSTALL", "false")  # an export must not install packages
        os.environ.setdefault("YOLO_VERBOSE", "false")
        import ultralytics

        step("loading weights")
        weights, yolo = _load(request.weights, folder, self.end_to_end)
        network: Any = yolo.model
        stride = int(network.stride.max())
        height, width = request.imgsz or (640, 640)
        if height % stride or width % stride:
            raise ExportSizeError(stride, height, width)
        classes = tuple(str(network.names[i]) for i in sorted(network.names))
        fastsam = request.class_agnostic
        if fastsam is None:
            trained_as = Path(str(network.yaml.get("yaml_file", ""))).stem
            fastsam = is_fastsam(classes, request.name, Path(request.weights).stem, trained_as)
        step("tracing the graph")
        # In ultralytics nms=False requests the end-to-end head, if there is one; unset means raw predictions.
        head = {"nms": False} if self.end_to_end else {}
        made = yolo.export(
            format="onnx", imgsz=[height, width], dynamic=True, simplify=True, opset=_OPSET, verbose=False, **head
        )
        graph = Path(str(made)).replace(folder / f"{request.name}.onnx")
        self.finish(graph)
        spec = ModelSpec(
            name=request.name,
            family=self.name,
            task="segment",
            input=letterbox_input(height, width, size_multiple=stride, batch=(1, None)),
            outputs=(self.detections(len(classes)), prototypes_output()),
            class_names=classes,
            class_agnostic=fastsam,
            defaults={**thresholds(fastsam=fastsam, nms=not self.end_to_end), **request.defaults},
            source=Source(
                Path(request.weights).name, sha256(weights), versions("ultralytics", "onnxslim"), licence="AGPL-3.0"
            ),
        )
        write_spec(graph, spec)
        step("comparing with PyTorch")
        reference = ultralytics.YOLO(str(weights)).model.float().eval()
        if self.end_to_end and not reference.end2end:
            reference.end2end = True
        sizes = sorted({(height, width), (-(-height * 3 // 5 // stride) * stride, width)})
        sessions = fp32_sessions(graph)

        def comparisons() -> Iterator[tuple[str, Mapping[str, float]]]:
            for what, batch in _inputs(sizes):
                expected = _outputs(reference, batch)
                for session in sessions:
                    outputs = session.run({"images": batch})
                    metrics = self.compare(expected, (outputs["output0"], outputs["output1"]), len(classes))
                    yield f"{what} on {describe(sessions)}", metrics

        spec = prove(graph, spec, self.tolerance, comparisons(), PYTORCH)
        return [Exported(graph, spec), *export_helpers(spec, folder, step)]


def box_ious(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """IoU of boxes pair by pair: two (n, 4) arrays, xyxy, to (n,)."""
    sides = np.maximum(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]), 0)
    inter = sides.prod(axis=1)
    areas = (a[:, 2:] - a[:, :2]).prod(axis=1) + (b[:, 2:] - b[:, :2]).prod(axis=1)
    return np.asarray(inter / np.maximum(areas - inter, 1e-9))


def min_mask_iou(
    coefficients_a: NDArray[np.float32],
    coefficients_b: NDArray[np.float32],
    prototypes_a: NDArray[np.float32],
    prototypes_b: NDArray[np.float32],
) -> float:
    """Smallest IoU of masks pair by pair, from coefficients (n, c) and prototypes (c, ph, pw); 1 without masks."""
    masks_a = np.tensordot(coefficients_a, prototypes_a, 1) > 0
    masks_b = np.tensordot(coefficients_b, prototypes_b, 1) > 0
    union = (masks_a | masks_b).sum(axis=(1, 2))
    overlap = (masks_a & masks_b).sum(axis=(1, 2)) / np.maximum(union, 1)
    large = union > 64  # in a mask of a few pixels one pixel changes the IoU by a tenth; such masks are no segments
    return float(overlap[large].min(initial=1.0))


def letterboxed(picture: NDArray[Any], size: tuple[int, int], size_multiple: int | None = None) -> NDArray[np.uint8]:
    """Letterbox a picture (H, W, 3) uint8 to (height, width) px by ultralytics.

    With a `size_multiple` the result is the smallest rectangle, in multiples of it, that holds the scaled picture.
    """
    from ultralytics.data.augment import LetterBox

    letterbox = LetterBox(size, auto=size_multiple is not None, stride=size_multiple or 32)
    return np.asarray(letterbox(image=picture))


def _is_end_to_end(weights: Path) -> bool:
    """Whether a checkpoint has an end-to-end head, by the names of its modules. The checkpoint is not loaded."""
    try:
        with zipfile.ZipFile(weights) as archive:
            pickled = next(name for name in archive.namelist() if Path(name).name == "data.pkl")
            return _ONE_TO_ONE_HEAD.encode() in archive.read(pickled)
    except (zipfile.BadZipFile, StopIteration):
        return False  # not a checkpoint: loading it reports that


def _load(weights: str, folder: Path, end_to_end: bool) -> tuple[Path, ultralytics.YOLO]:
    """Load weights from a copy in the folder, since ultralytics writes files beside them; fetch them if needed.

    Raises:
        WeightsNotFoundError: They do not exist, or can't be read.
        WeightsUnreachableError: They can't be fetched.
        ExportError: They are of another kind of model.
    """
    import ultralytics

    copy = folder / Path(weights).name
    local = expand_user(weights)
    if local.is_file():
        shutil.copyfile(local, copy)
    elif local.suffix != ".pt" or local.parent != Path():
        raise WeightsNotFoundError(weights, "expected an ultralytics checkpoint (.pt), found no such file")
    elif fault := why_unreachable(f"https://{_HOST}"):
        raise WeightsUnreachableError(weights, _HOST, fault)
    try:
        yolo = ultralytics.YOLO(str(copy))
    except Exception as error:  # ultralytics raises many kinds, for a failed download too
        if not local.is_file() and is_network_error(error):
            raise WeightsUnreachableError(weights, _HOST, one_line(error)) from error
        raise WeightsNotFoundError(weights, f"ultralytics can't load them ({one_line(error)})") from error
    if yolo.task != "segment":
        raise ExportError(f"{weights}: expected a segmentation model, found task {yolo.task!r}; use a -seg model")
    found = getattr(yolo.model.model[-1], _ONE_TO_ONE_HEAD, None) is not None
    if found != end_to_end:
        raise ExportError(
            f"{weights}: expected a model with {_HEADS[end_to_end]}, found one with {_HEADS[found]}; pass the "
            "checkpoint as a local file, and a name that no published model has"
        )
    return copy, yolo


def _inputs(sizes: list[tuple[int, int]]) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Batches (n, 3, h, w) in 0..1 to compare on, and their descriptions: photos of ultralytics and drawn pictures."""
    import cv2
    from ultralytics.utils import ASSETS

    photos = sorted(Path(ASSETS).glob("*.jpg"))
    for size in sizes:
        drawn = synthetic_pictures(2, *size)
        pictures = [letterboxed(np.asarray(cv2.imread(str(photo))), size) for photo in photos] + drawn
        batch = np.stack([picture[..., ::-1].transpose(2, 0, 1) for picture in pictures]).astype(np.float32)
        batch /= 255
        yield f"{len(photos)} photos and {len(drawn)} drawn pictures at {size[0]} x {size[1]}", batch


def _outputs(network: torch.nn.Module, batch: NDArray[np.float32]) -> Outputs:
    """PyTorch's detections and prototypes."""
    import torch

    with torch.inference_mode():
        raw = network(torch.from_numpy(batch))
    detections, prototypes = raw[0] if isinstance(raw[0], tuple) else (raw[0], raw[1])
    return detections.numpy(), prototypes.numpy()
