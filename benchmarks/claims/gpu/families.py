"""Compare every family on a device with its fp32 graphs on the CPU, and with PyTorch if it is installed.

There is one row of kind `parity` per model and precision:

    raw error       of each output of the network on the same input: root mean square of the difference, relative to
                    that of the output on the CPU
    segments, kept  segments on the CPU, and how many of them the device finds at IoU 0.9 with the same class
    mask IoU        the smallest among these, of masks at the size of the frame
    PyTorch error   like `raw error`, for the outputs of PyTorch
    at export       the metrics of the export, between PyTorch and the fp32 graph
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from claims.common import harness
from claims.common.seeded_models import Models
from claims.common.seeded_weights import SEGMENTERS, SMALL, TRAINED
from claims.gpu.case import OtherAnswerError, attempt
from claims.gpu.reference import frame_of
from claims.gpu.sides import Where, opened_at
from support import small_transformers

# isort: split
import numpy as np
from numpy.typing import NDArray

from fastsam_engine.rounding import round_with_bound
from fastsam_engine.session import Array
from fastsam_trt.bundled_models import CLIP, SEGMENTER
from fastsam_trt.clip.model import Clip
from fastsam_trt.demo.scenes import draw_scene
from fastsam_trt.frames.preprocess import FramePreprocessor
from fastsam_trt.masks.mask_source import paste
from fastsam_trt.segmentation.nms import box_ious
from fastsam_trt.segmentation.segmenter import Segmenter
from fastsam_trt.segmentation.segments import Segments

FAMILIES = ("yolov8n-seg", SEGMENTER, CLIP, *SMALL, "yolo26n-seg", "fastsam-s")
"""The most important first. The demo models are bundled, in fp32."""
_MOST, _FEWEST, _SAME_IOU = 20, 5, 0.9
_BOUNDS = {"fp32": 1e-3, "tf32": 2e-2, "bf16": 8e-2, "fp16": 5e-2}  # bounds of raw errors
_OUTPUTS = {
    "small-detr": {"class_logits": "logits", "boxes": "pred_boxes"},
    "small-mask2former": {"class_logits": "class_queries_logits", "mask_logits": "masks_queries_logits"},
    "small-segformer": {"logits": "logits"},
}  # names of our outputs to those of transformers


@dataclass(frozen=True, slots=True)
class Family:
    """One model to compare.

    Attributes:
        models: The folder of models.
        name: A name from `FAMILIES`.
        precision: Precision of its graph on the device.
        where: The device.
        torch_device: PyTorch's name of the device.
        imgsz: Longest side of the input, px; None: the model's default.
    """

    models: Models
    name: str
    precision: str
    where: Where
    torch_device: str
    imgsz: int | None

    def rows(self) -> Iterator[dict[str, Any]]:
        """The row of kind `parity`.

        Raises:
            OtherAnswerError: The results of the device differ.
        """
        title = f"{self.name} {self.precision}"
        compare = self._clip if self.name == CLIP else self._segmenter
        start = time.perf_counter()
        row = compare()
        yield {"kind": "parity", "title": title, "side": self.where.label, **row, "s": time.perf_counter() - start}
        worst, bound = max(row["raw error"].values()), _BOUNDS[row["computes"]]
        if not worst <= bound:
            found, most = round_with_bound(worst, bound)
            raise OtherAnswerError(f"expected raw errors of {most} at most, found {found}")
        if row["kept"] < row["segments"] - 1 and not self._is_drawn:
            raise OtherAnswerError(f"expected {row['segments']} segments again, found {row['kept']} of them")

    @property
    def _is_drawn(self) -> bool:
        """Whether its weights are random: rounding moves the boxes of such a network."""
        return self.name in SEGMENTERS and self.name not in TRAINED

    def _clip(self) -> dict[str, Any]:
        scene = draw_scene(1, 240, 320)
        boxes = np.asarray([[x, y, x + 90, y + 70] for x in (0, 80, 160, 230) for y in (0, 60, 150)], np.float32)
        host = Clip(CLIP, backend="onnxruntime", device="cpu", precision="fp32")
        with opened_at(self.where):
            ours = Clip(CLIP, backend=self.where.backend, device=self.where.device, precision=self.precision)
            found, text = ours.embed_boxes(scene.frame, boxes), ours.text.embed(["a red circle"], ["{}"])
        expected = {"image": host.embed_boxes(scene.frame, boxes), "text": host.text.embed(["a red circle"], ["{}"])}
        errors = _errors(expected, {"image": found, "text": text})
        cosine = float((expected["image"] * found).sum(axis=1).min())
        return {"computes": self.precision, "raw error": errors, "segments": 0, "kept": 0, "cosine": cosine}

    def _segmenter(self) -> dict[str, Any]:
        bundled = self.name == SEGMENTER
        fp32 = SEGMENTER if bundled else self.models.export(self.name, "fp32")
        graph = SEGMENTER if bundled else self.models.export(self.name, self.precision)
        # fp32 by name means full precision. fp16 can't be requested by name from every backend.
        requested = "fp32" if self.precision == "fp32" and self.where.device != "tensorrt" else "auto"
        imgsz = self.imgsz if self.name in SEGMENTERS else None
        host = Segmenter(fp32, backend="onnxruntime", device="cpu", precision="fp32", imgsz=imgsz)
        with opened_at(self.where):
            ours = Segmenter(
                graph, backend=self.where.backend, device=self.where.device, precision=requested, imgsz=imgsz,
                frames_on_device=False if self._is_drawn else None,
            )  # fmt: skip
            frame = self._frame()
            expected, found = self._segments(host, ours, frame)
            array = _input(host, frame, imgsz)
            outputs = host.session.run(array)
            row = {
                "computes": ours.session.precision,
                "raw error": _errors(outputs, ours.session.run(array)),
                **_agreement(expected, found, frame.shape[:2]),
            }
        if not bundled:
            made, why = attempt(lambda: _errors(outputs, self._torch(next(iter(array.values())))))
            row["PyTorch error"] = why if made is None else made
        parity = host.session.spec.parity
        return row | {"at export": None if parity is None else dict(parity.worst)}

    def _frame(self) -> NDArray[np.uint8]:
        if self.name in SMALL:
            return small_transformers.tiles(240, 320, seed=1)
        return draw_scene(1, 480, 640).frame if self.name == SEGMENTER else frame_of(self.models.folder)

    @staticmethod
    def _segments(host: Segmenter, ours: Segmenter, frame: NDArray[np.uint8]) -> tuple[Segments, Segments]:
        """The best segments on the CPU, and twice as many of the device, whose list may end with others."""
        host.thresholds = replace(host.thresholds, max_segments=_MOST)
        if len(found := host(frame)) < _FEWEST:  # random weights give low scores
            host.thresholds = replace(host.thresholds, conf=0.0)
            found = host(frame)
        ours.thresholds = replace(host.thresholds, max_segments=2 * _MOST, conf=host.thresholds.conf * 0.9)
        return found, ours(frame)

    def _torch(self, array: Array) -> Mapping[str, Array]:
        """The outputs of PyTorch for an input of the network."""
        harness.require("torch")
        import torch

        given = torch.from_numpy(np.ascontiguousarray(array)).to(self.torch_device)
        if self.name in SMALL:
            model = _transformers(SMALL[self.name], self.models.weights(self.name)).to(self.torch_device)
            with torch.inference_mode():
                made = model(pixel_values=given)
            named = {ours: getattr(made, theirs) for ours, theirs in _OUTPUTS[self.name].items()}
        elif self.name == "yolo26n-seg":
            raise harness.BenchmarkError("its TorchScript has another head; see `at export`")
        else:
            height, width = array.shape[2:]
            script = (
                self.models.folder / f"{self.name}.{height}x{width}.torchscript"
            )  # it is not made here: tracing takes long
            if not script.is_file():
                raise harness.BenchmarkError(f"there is no TorchScript of {height} x {width}; see `at export`")
            network = torch.jit.load(str(script), map_location=self.torch_device).float()
            with torch.inference_mode():
                named = dict(zip(("output0", "output1"), network(given), strict=True))
        return {name: each.float().cpu().numpy() for name, each in named.items()}


def _transformers(family: str, weights: Path) -> Any:
    harness.require("transformers")
    import transformers

    kinds = {
        "detr": "DetrForSegmentation",
        "mask2former": "Mask2FormerForUniversalSegmentation",
        "segformer": "SegformerForSemanticSegmentation",
    }
    return getattr(transformers, kinds[family]).from_pretrained(weights).eval()


def _input(segmenter: Segmenter, frame: NDArray[np.uint8], imgsz: int | None) -> dict[str, Array]:
    image: Any = segmenter.session.spec.input
    array, _ = FramePreprocessor(image, None if imgsz is None else (imgsz, imgsz)).prepare(frame)
    return {image.name: array.copy()}


def _errors(expected: Mapping[str, Array], found: Mapping[str, Array]) -> dict[str, float]:
    """Root mean square of the difference, relative to that of the expected output, for each output that both have."""
    return {
        name: float(
            np.linalg.norm((found[name].astype(np.float64) - array).ravel()) / max(float(np.linalg.norm(array)), 1e-12)
        )
        for name, array in expected.items()
        if name in found
    }


def _agreement(expected: Segments, found: Segments, size: tuple[int, int]) -> dict[str, Any]:
    """Number of segments that are found again, and the smallest IoU of their boxes and masks."""
    row: dict[str, Any] = {"segments": len(expected), "kept": 0}
    if not len(expected) or not len(found):
        return row
    ious = box_ious(expected.boxes, found.boxes)
    ious[expected.class_ids[:, None] != found.class_ids] = 0
    which, best = ious.argmax(axis=1), ious.max(axis=1)
    again = np.flatnonzero(best >= _SAME_IOU)
    if len(again):
        ours = paste(found.masks.decode(which[again].tolist()), *size)
        host = paste(expected.masks.decode(again.tolist()), *size)
        overlap, union = (host & ours).sum(axis=(1, 2)), (host | ours).sum(axis=(1, 2))
        row |= {
            "box IoU": float(best[again].min()),
            "mask IoU": float((overlap / np.maximum(union, 1))[union > 64].min(initial=1.0)),
        }
    return row | {"kept": len(again)}
