"""Export YOLOv8-seg, YOLO11-seg and FastSAM: raw predictions of every anchor, which need NMS."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastsam_engine.spec.model_spec import Output
from fastsam_engine.spec.yolo_seg import detections_output
from fastsam_export.family import register
from fastsam_export.frameworks.ultralytics_models import Outputs, UltralyticsFamily, box_ious, min_mask_iou
from fastsam_export.parity import max_abs

_COMPARED = 50


@register
class YoloSegFamily(UltralyticsFamily):
    """Detections (n, 4 + classes + c, anchors)."""

    name = "yolo-seg"
    end_to_end = False

    def detections(self, classes: int) -> Output:
        return detections_output(classes)

    def compare(self, expected: Outputs, found: Outputs, classes: int) -> dict[str, float]:
        """Compare raw outputs, and boxes, classes and masks of the anchors with the highest scores in PyTorch.

        The anchors are chosen by PyTorch's scores alone, so that near ties in NMS can't hide or fake a difference.
        """
        end = 4 + classes
        metrics = {
            "max_abs_score": max_abs(expected[0][:, 4:end], found[0][:, 4:end]),
            "max_abs_box_px": max_abs(expected[0][:, :4], found[0][:, :4]),
            "max_abs_prototype": max_abs(expected[1], found[1]),
            "min_box_iou": 1.0,
            "min_mask_iou": 1.0,
            "min_class_agreement": 1.0,
        }
        for index in range(len(expected[0])):
            scores = expected[0][index, 4:end].max(axis=0)
            anchors = np.argsort(-scores)[:_COMPARED]
            a, b = expected[0][index][:, anchors].T, found[0][index][:, anchors].T
            measured = {
                "min_class_agreement": float((a[:, 4:end].argmax(axis=1) == b[:, 4:end].argmax(axis=1)).mean()),
                "min_box_iou": float(box_ious(_corners(a), _corners(b)).min()),
                "min_mask_iou": min_mask_iou(a[:, end:], b[:, end:], expected[1][index], found[1][index]),
            }
            metrics |= {name: min(metrics[name], metric) for name, metric in measured.items()}
        return metrics


def _corners(detections: NDArray[np.float32]) -> NDArray[np.float32]:
    """Boxes (n, 4) xyxy of detections (n, 4 or more) that begin with centre and size."""
    half = detections[:, 2:4] / 2
    return np.concatenate([detections[:, :2] - half, detections[:, :2] + half], axis=1)
