"""Export YOLO26-seg with its end-to-end head: the best 300 detections, which need no NMS."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastsam_engine.spec.model_spec import Output
from fastsam_engine.spec.yolo_seg import end_to_end_output
from fastsam_export.family import register
from fastsam_export.frameworks.ultralytics_models import Outputs, UltralyticsFamily, box_ious, min_mask_iou
from fastsam_export.parity import max_abs

_COMPARED = 50


@register
class YoloEnd2EndFamily(UltralyticsFamily):
    """Detections (n, k, 6 + c), where k is 300 or the number of anchors, if that is smaller."""

    name = "yolo-end2end"
    end_to_end = True

    def detections(self, classes: int) -> Output:
        return end_to_end_output()

    def finish(self, graph: Path) -> None:
        """Allow fewer than 300 detections for a small input, as in PyTorch: tracing made the number a constant.

        It is the number of the TopK over anchors, and of the TopK over their classes.
        """
        import onnx

        model = onnx.load(str(graph))
        bounded: dict[str, str] = {}
        nodes = []
        for node in model.graph.node:
            if node.op_type == "TopK":
                picked, most = node.input
                if most not in bounded:
                    bounded[most] = f"{most}_bounded"
                    axis = next(attribute.i for attribute in node.attribute if attribute.name == "axis")
                    there = f"{most}_there"
                    nodes.append(onnx.helper.make_node("Shape", [picked], [there], start=axis, end=axis + 1))
                    nodes.append(onnx.helper.make_node("Min", [most, there], [bounded[most]]))
                node.input[1] = bounded[most]
            nodes.append(node)
        del model.graph.node[:]
        model.graph.node.extend(nodes)
        onnx.save(model, str(graph))

    def compare(self, expected: Outputs, found: Outputs, classes: int) -> dict[str, float]:
        """Compare raw outputs, and boxes, classes and masks of the detections with the highest scores in PyTorch.

        Scores are compared by rank, where a near tie changes nothing. Everything else is compared with the most similar
        detection of any rank, so that near ties can't hide or fake a difference.
        """
        metrics = {
            "max_abs_score": max_abs(expected[0][..., 4], found[0][..., 4]),
            "max_abs_box_px": 0.0,
            "max_abs_prototype": max_abs(expected[1], found[1]),
            "min_box_iou": 1.0,
            "min_mask_iou": 1.0,
            "min_class_agreement": 1.0,
        }
        for index in range(len(expected[0])):
            a = expected[0][index, :_COMPARED]
            b = found[0][index][_most_similar(a, found[0][index])]
            boxes = (a[:, 2:4] - a[:, :2]).min(axis=1) > 1  # thinner boxes are no segments, and their IoU means nothing
            ious = box_ious(a[boxes, :4], b[boxes, :4])
            metrics["max_abs_box_px"] = max(metrics["max_abs_box_px"], max_abs(a[:, :4], b[:, :4]))
            measured = {
                "min_class_agreement": float((a[:, 5] == b[:, 5]).mean()),
                "min_box_iou": float(ious.min(initial=1.0)),
                "min_mask_iou": min_mask_iou(a[:, 6:], b[:, 6:], expected[1][index], found[1][index]),
            }
            metrics |= {name: min(metrics[name], metric) for name, metric in measured.items()}
        return metrics


def _most_similar(wanted: NDArray[np.float32], found: NDArray[np.float32]) -> NDArray[np.intp]:
    """Index of the most similar of the found detections (k, 6 + c) for each of the wanted (n, 6 + c).

    An anchor may occur with several classes: a different class counts, but less than the box of another anchor.
    """
    difference = np.abs(wanted[:, None] - found[None])
    difference[..., 5] = difference[..., 5] > 0
    return np.asarray(difference.max(axis=2).argmin(axis=1))
