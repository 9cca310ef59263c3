"""Metrics and bounds for an int8 graph compared with its fp32 graph, over all calibration pictures together.

An fp32 detection is kept if int8 has a detection of the same class, above the same threshold, at box IoU 0.9 or more.
With a few dozen detections this share is coarse, and rounding alone moves detections across the threshold, as in bf16.
The mean agreement is finer: box IoU times (1 - difference of scores), with int8 detections from half the threshold on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastsam_engine.session import Array
from fastsam_engine.spec.model_spec import ModelSpec
from fastsam_export.errors import ExportError
from fastsam_export.frameworks.ultralytics_models import box_ious
from fastsam_export.parity import min_cosine

SAME_BOX_IOU = 0.9
"""Box IoU from which a detection of the same class counts as kept."""

_PROTOTYPE_PX = 4  # side of a prototype's pixel, px of the input
_DETECTIONS = {"min_detections_kept": 0.94, "min_mean_agreement": 0.94, "min_mean_mask_iou": 0.95}
_EMBEDDINGS = {"min_cosine": 0.99}
Outputs = Sequence[Mapping[str, Array]]
"""Outputs by name, of each picture."""


@dataclass(frozen=True, slots=True)
class Detections:
    """The n decoded detections of one picture.

    Attributes:
        boxes: (n, 4) xyxy, px of the input.
        scores: (n,).
        class_ids: (n,).
        masks: (n, ph, pw) bool, at the size of the prototypes.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    class_ids: NDArray[np.intp]
    masks: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well int8 agrees with fp32.

    Attributes:
        metrics: The metrics that have bounds.
        damage: 0 if nothing changes. It is finer than the metrics, so that small errors can be ranked.
        counted: Number of fp32 detections, or embeddings, that were compared.
    """

    metrics: dict[str, float]
    damage: float
    counted: int


def bounds(spec: ModelSpec) -> dict[str, float]:
    """The bounds of the metrics that `compare` measures."""
    return dict(_EMBEDDINGS if spec.task == "embed-image" else _DETECTIONS)


def compare(spec: ModelSpec, expected: Outputs, found: Outputs) -> Agreement:
    """Measure how well the outputs in fp32 (`expected`) and in int8 (`found`) agree, for the same pictures.

    Raises:
        ExportError: fp32 detects nothing in the pictures.
    """
    if spec.task == "embed-image":
        name = spec.outputs[0].name
        rows = [np.concatenate([each[name] for each in outputs]) for outputs in (expected, found)]
        cosine = min_cosine(*rows)
        return Agreement({"min_cosine": cosine}, 1 - cosine, len(rows[0]))
    wide = dataclasses.replace(spec, defaults={**spec.defaults, "conf": spec.defaults["conf"] / 2})
    references = [detections(spec, each) for each in expected]
    boxes, _, masks = _all_overlaps(references, [detections(spec, each) for each in found])
    near, scores, _ = _all_overlaps(references, [detections(wide, each) for each in found])
    if not len(boxes):
        raise ExportError("int8: expected calibration pictures with objects that the model detects, found no detection")
    kept = boxes >= SAME_BOX_IOU
    metrics = {
        "min_detections_kept": float(kept.mean()),
        "min_mean_agreement": float((near * scores).mean()),
        "min_mean_mask_iou": float(masks[kept].mean()) if kept.any() else 0.0,
    }
    return Agreement(metrics, 1 - metrics["min_mean_agreement"], len(boxes))


def detections(spec: ModelSpec, outputs: Mapping[str, Array]) -> Detections:
    """Decode the outputs of one picture, with the thresholds of the spec."""
    first, second = spec.outputs
    raw, prototypes = outputs[first.name][0], outputs[second.name][0]
    conf = spec.defaults["conf"]
    if first.meaning == "yolo-end2end-detections":
        rows = raw[raw[:, 4] > conf]
        boxes, scores, class_ids, coefficients = rows[:, :4], rows[:, 4], rows[:, 5].astype(np.intp), rows[:, 6:]
    else:
        end = 4 + len(spec.class_names)
        rows = raw[:, raw[4:end].max(axis=0) > conf].T
        half = rows[:, 2:4] / 2
        boxes = np.concatenate([rows[:, :2] - half, rows[:, :2] + half], axis=1)
        scores, class_ids, coefficients = rows[:, 4:end].max(axis=1), rows[:, 4:end].argmax(axis=1), rows[:, end:]
        kept = _nms(boxes, scores, class_ids, conf, spec.defaults["iou"])
        boxes, scores, class_ids, coefficients = boxes[kept], scores[kept], class_ids[kept], coefficients[kept]
    masks = np.tensordot(coefficients, prototypes, 1) > 0
    return Detections(boxes, scores, class_ids, masks & _inside(boxes / _PROTOTYPE_PX, *masks.shape[1:]))


def _inside(boxes: NDArray[np.float32], height: int, width: int) -> NDArray[np.bool_]:
    """The pixels inside each of n boxes, (n, height, width). Outside its box a mask has no meaning."""
    x0, y0, x1, y1 = boxes.T[:, :, None]
    columns, rows = np.arange(width) + 0.5, np.arange(height) + 0.5
    across, down = (x0 <= columns) & (columns <= x1), (y0 <= rows) & (rows <= y1)
    return np.asarray(down[:, :, None] & across[:, None])


def _nms(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], class_ids: NDArray[np.intp], conf: float, iou: float
) -> NDArray[np.intp]:
    """Indices of the boxes that remain after NMS per class."""
    import cv2

    if not len(boxes):
        return np.empty(0, np.intp)
    corners = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    kept = cv2.dnn.NMSBoxesBatched(corners.tolist(), scores.tolist(), class_ids.tolist(), conf, iou)
    return np.asarray(kept, np.intp).reshape(-1)


def _all_overlaps(expected: Sequence[Detections], found: Sequence[Detections]) -> NDArray[np.float64]:
    return np.concatenate([_overlaps(a, b) for a, b in zip(expected, found, strict=True)], axis=1)


def _overlaps(a: Detections, b: Detections) -> NDArray[np.float64]:
    """Box IoU, 1 - difference of scores and mask IoU of a's n detections with b's best of the same class: (3, n)."""
    result = np.zeros((3, len(a.boxes)))
    for i, box in enumerate(a.boxes):
        ious = box_ious(np.broadcast_to(box, b.boxes.shape), b.boxes) * (b.class_ids == a.class_ids[i])
        if not ious.any():
            continue
        best = int(ious.argmax())
        union = (a.masks[i] | b.masks[best]).sum()
        result[:, i] = (
            ious[best],
            1 - abs(a.scores[i] - b.scores[best]),
            (a.masks[i] & b.masks[best]).sum() / union if union else 1.0,
        )
    return result
