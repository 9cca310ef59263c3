"""What a user sees of a graph in int8 and in fp32, over all pictures that both were given, and its bounds.

A detection of fp32 is kept where int8 has one of the same class, above the same threshold, at box IoU 0.9 or more. Such
shares of a few dozen are coarse, and what lies near the threshold falls on either side of it by rounding alone, as it
does in bf16. The mean agreement, box IoU times 1 less the difference of scores, is finer: it takes what int8 finds from
half the threshold on.
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

_PROTOTYPE_PX = 4  # of the input, a side of a prototype's pixel
_DETECTIONS = {"min_detections_kept": 0.94, "min_mean_agreement": 0.94, "min_mean_mask_iou": 0.95}
_EMBEDDINGS = {"min_cosine": 0.99}
Answers = Sequence[Mapping[str, Array]]


@dataclass(frozen=True, slots=True)
class Detections:
    """What is found in one picture, n segments: as a decoder gives it, in px of the input.

    Attributes:
        boxes, scores, class_ids: (n, 4) xyxy, (n,), (n,).
        masks: (n, ph, pw) bool, in the prototypes' frame.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    class_ids: NDArray[np.intp]
    masks: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well int8 agrees with fp32.

    Attributes:
        figures: Held against the bounds.
        damage: 0 where nothing changes; finer than the figures, to tell small errors apart.
        counted: How many detections, or embeddings, of fp32 were compared.
    """

    figures: dict[str, float]
    damage: float
    counted: int


def bounds(spec: ModelSpec) -> dict[str, float]:
    """The bounds of the figures that `agreement` gives."""
    return dict(_EMBEDDINGS if spec.task == "embed-image" else _DETECTIONS)


def agreement(spec: ModelSpec, expected: Answers, found: Answers) -> Agreement:
    """Compare what fp32 (expected) and int8 (found) give for the same pictures.

    Raises:
        ExportError: fp32 finds nothing to compare.
    """
    if spec.task == "embed-image":
        name = spec.outputs[0].name
        rows = [np.concatenate([each[name] for each in answers]) for answers in (expected, found)]
        cosine = min_cosine(*rows)
        return Agreement({"min_cosine": cosine}, 1 - cosine, len(rows[0]))
    wide = dataclasses.replace(spec, defaults={**spec.defaults, "conf": spec.defaults["conf"] / 2})
    references = [detections(spec, each) for each in expected]
    boxes, _, masks = _all_overlaps(references, [detections(spec, each) for each in found])
    near, scores, _ = _all_overlaps(references, [detections(wide, each) for each in found])
    if not len(boxes):
        raise ExportError("int8: expected calibration pictures of things that the model finds, found nothing in them")
    kept = boxes >= SAME_BOX_IOU
    figures = {
        "min_detections_kept": float(kept.mean()),
        "min_mean_agreement": float((near * scores).mean()),
        "min_mean_mask_iou": float(masks[kept].mean()) if kept.any() else 0.0,
    }
    return Agreement(figures, 1 - figures["min_mean_agreement"], len(boxes))


def detections(spec: ModelSpec, outputs: Mapping[str, Array]) -> Detections:
    """Decode the outputs for one picture, with the thresholds of the spec."""
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
    """Which pixels lie in each of n boxes, whose masks mean nothing outside: (n, height, width)."""
    x0, y0, x1, y1 = boxes.T[:, :, None]
    columns, rows = np.arange(width) + 0.5, np.arange(height) + 0.5
    across, down = (x0 <= columns) & (columns <= x1), (y0 <= rows) & (rows <= y1)
    return np.asarray(down[:, :, None] & across[:, None])


def _nms(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], class_ids: NDArray[np.intp], conf: float, iou: float
) -> NDArray[np.intp]:
    """Indices of what NMS leaves of each class."""
    import cv2

    if not len(boxes):
        return np.empty(0, np.intp)
    corners = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    kept = cv2.dnn.NMSBoxesBatched(corners.tolist(), scores.tolist(), class_ids.tolist(), conf, iou)
    return np.asarray(kept, np.intp).reshape(-1)


def _all_overlaps(expected: Sequence[Detections], found: Sequence[Detections]) -> NDArray[np.float64]:
    return np.concatenate([_overlaps(a, b) for a, b in zip(expected, found, strict=True)], axis=1)


def _overlaps(a: Detections, b: Detections) -> NDArray[np.float64]:
    """For each of a's n detections and b's best of its class: box IoU, nearness of scores and mask IoU, (3, n)."""
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
