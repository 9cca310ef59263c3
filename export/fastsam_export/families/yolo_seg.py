"""YOLOv8-seg, YOLO11-seg and FastSAM, through ultralytics' exporter (AGPL-3.0, imported here only)."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastsam_engine.errors import one_line
from fastsam_engine.model_spec import ModelSpec, Output, Source
from fastsam_engine.yolo_seg import PROTOTYPES, detections_output, letterbox_input, thresholds
from fastsam_export.errors import ExportError, WeightsNotFoundError
from fastsam_export.families.registry import Exported, ExportRequest, Family, register
from fastsam_export.onnx_file import sha256, versions, write_spec
from fastsam_export.parity import ParityRecorder, describe, fp32_sessions, max_abs, synthetic_pictures

if TYPE_CHECKING:
    import torch
    import ultralytics

_OPSET = 18
_COMPARED = 50
_TOLERANCE = {
    "max_abs_score": 1e-3,
    "max_abs_box_px": 0.1,
    "max_abs_prototype": 1e-2,
    "min_box_iou": 0.99,
    "min_mask_iou": 0.98,
    "min_class_agreement": 1.0,
}


@register
class YoloSegFamily(Family):
    """One graph, height and width dynamic in multiples of the stride."""

    name = "yolo-seg"
    packages = ("ultralytics", "onnx", "onnxslim")

    def recognises(self, weights: Path) -> bool:
        return weights.suffix == ".pt"

    def export(self, request: ExportRequest, folder: Path, step: Callable[[str], None]) -> list[Exported]:
        os.environ.setdefault("YOLO_AUTOINSTALL", "false")  # an export installs nothing behind the user's back
        os.environ.setdefault("YOLO_VERBOSE", "false")
        import ultralytics

        step("loading weights")
        weights, yolo = _load(request.weights, folder)
        network: Any = yolo.model
        stride = int(network.stride.max())
        height, width = request.imgsz or (640, 640)
        if height % stride or width % stride:
            raise ExportError(f"imgsz: expected multiples of {stride}, found {height} x {width}")
        classes = tuple(str(network.names[i]) for i in sorted(network.names))
        step("tracing the graph")
        made = yolo.export(
            format="onnx", imgsz=[height, width], dynamic=True, simplify=True, opset=_OPSET, verbose=False
        )
        graph = Path(str(made)).replace(folder / f"{request.name}.onnx")
        spec = ModelSpec(
            name=request.name,
            family=self.name,
            task="segment",
            input=letterbox_input(height, width, size_multiple=stride, batch=(1, None)),
            outputs=(detections_output(len(classes)), Output(*PROTOTYPES)),
            class_names=classes,
            defaults={**thresholds(classes), **request.defaults},
            source=Source(
                Path(request.weights).name, sha256(weights), versions("ultralytics", "onnxslim"), licence="AGPL-3.0"
            ),
        )
        write_spec(graph, spec)
        step("comparing with PyTorch")
        reference = ultralytics.YOLO(str(weights)).model.float().eval()
        sizes = sorted({(height, width), (-(-height * 3 // 5 // stride) * stride, width)})
        recorder = ParityRecorder(_TOLERANCE)
        sessions = fp32_sessions(graph)
        for what, batch in _inputs(sizes):
            expected = _outputs(reference, batch)
            for session in sessions:
                found = session.run({"images": batch})
                figures = _compare(expected, (found["output0"], found["output1"]), len(classes))
                recorder.add(f"{what} on {describe(sessions)}", figures)
        spec = dataclasses.replace(spec, parity=recorder.close(graph.name))
        write_spec(graph, spec)
        return [Exported(graph, spec)]


def _load(weights: str, folder: Path) -> tuple[Path, ultralytics.YOLO]:
    """Load weights from a copy in the folder, since ultralytics writes beside them; fetch them there if need be."""
    import ultralytics

    copy = folder / Path(weights).name
    local = Path(weights).expanduser()
    if local.is_file():
        shutil.copyfile(local, copy)
    elif local.suffix != ".pt" or local.parent != Path():
        raise WeightsNotFoundError(weights, "expected an ultralytics checkpoint (.pt), found no such file")
    try:
        yolo = ultralytics.YOLO(str(copy))
    except Exception as error:  # ultralytics raises many kinds, for a failed download too
        raise WeightsNotFoundError(weights, f"ultralytics can't load them ({one_line(error)})") from error
    if yolo.task != "segment":
        raise ExportError(f"{weights}: expected a segmentation model, found task {yolo.task!r}; use a -seg model")
    if getattr(yolo.model.model[-1], "end2end", False):
        raise ExportError(f"{weights}: expected a model with raw predictions, found an end-to-end one (no NMS)")
    return copy, yolo


def _inputs(sizes: list[tuple[int, int]]) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Batches (n, 3, h, w) in 0..1 to compare on: ultralytics' own photos and drawn pictures, at each size."""
    import cv2
    from ultralytics.data.augment import LetterBox
    from ultralytics.utils import ASSETS

    photos = sorted(Path(ASSETS).glob("*.jpg"))
    for size in sizes:
        letterbox = LetterBox(size, auto=False)
        drawn = synthetic_pictures(2, *size)
        pictures = [letterbox(image=cv2.imread(str(photo))) for photo in photos] + drawn
        batch = np.stack([picture[..., ::-1].transpose(2, 0, 1) for picture in pictures]).astype(np.float32)
        batch /= 255
        yield f"{len(photos)} photos and {len(drawn)} drawn pictures at {size[0]} x {size[1]}", batch


def _outputs(network: torch.nn.Module, batch: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """PyTorch's detections and prototypes."""
    import torch

    with torch.inference_mode():
        raw = network(torch.from_numpy(batch))
    detections, prototypes = raw[0] if isinstance(raw[0], tuple) else (raw[0], raw[1])
    return detections.numpy(), prototypes.numpy()


def _compare(
    expected: tuple[NDArray[np.float32], NDArray[np.float32]],
    found: tuple[NDArray[np.float32], NDArray[np.float32]],
    classes: int,
) -> dict[str, float]:
    """Raw differences, and what a user sees: boxes, classes and masks at the anchors that PyTorch is surest of.

    The anchors are chosen by PyTorch's scores alone, so that near ties in NMS can't hide or fake a difference.
    """
    figures = {
        "max_abs_score": max_abs(expected[0][:, 4 : 4 + classes], found[0][:, 4 : 4 + classes]),
        "max_abs_box_px": max_abs(expected[0][:, :4], found[0][:, :4]),
        "max_abs_prototype": max_abs(expected[1], found[1]),
        "min_box_iou": 1.0,
        "min_mask_iou": 1.0,
        "min_class_agreement": 1.0,
    }
    for index in range(len(expected[0])):
        scores = expected[0][index, 4 : 4 + classes].max(axis=0)
        anchors = np.argsort(-scores)[:_COMPARED]
        a, b = expected[0][index][:, anchors], found[0][index][:, anchors]
        same = (a[4 : 4 + classes].argmax(axis=0) == b[4 : 4 + classes].argmax(axis=0)).mean()
        figures["min_class_agreement"] = min(figures["min_class_agreement"], float(same))
        figures["min_box_iou"] = min(figures["min_box_iou"], float(_box_iou(a[:4], b[:4]).min()))
        masks_a = np.tensordot(a[4 + classes :].T, expected[1][index], 1) > 0
        masks_b = np.tensordot(b[4 + classes :].T, found[1][index], 1) > 0
        union = (masks_a | masks_b).sum(axis=(1, 2))
        overlap = (masks_a & masks_b).sum(axis=(1, 2)) / np.maximum(union, 1)
        seen = union > 64  # on a handful of pixels one flip is a tenth; such masks are no segments
        figures["min_mask_iou"] = min(figures["min_mask_iou"], float(overlap[seen].min(initial=1.0)))
    return figures


def _box_iou(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """IoU of boxes pair by pair: two (4, n) arrays of centre and size to (n,)."""
    low = np.maximum(a[:2] - a[2:] / 2, b[:2] - b[2:] / 2)
    high = np.minimum(a[:2] + a[2:] / 2, b[:2] + b[2:] / 2)
    inter = np.maximum(high - low, 0).prod(axis=0)
    return np.asarray(inter / np.maximum(a[2:].prod(axis=0) + b[2:].prod(axis=0) - inter, 1e-9))
