"""YOLO26-seg by its end-to-end head: detections that need no NMS, the best 300."""

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
    """Detections (n, k, 6 + c), k the smaller of 300 and the anchors of the input."""

    name = "yolo-end2end"
    end_to_end = True

    def detections(self, classes: int) -> Output:
        return end_to_end_output()

    def finish(self, graph: Path) -> None:
        """Let a small input have fewer detections than 300, as in PyTorch: tracing made the number a constant.

        The number is that of the TopK over anchors; the one over their classes takes the same.
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
        """Raw differences, and what a user sees: boxes, classes and masks of the detections that PyTorch is surest of.

        Scores are compared by rank, where a near tie changes nothing. All else is compared with the detection that is
        most alike, whatever its rank, so that near ties can't hide or fake a difference.
        """
        figures = {
            "max_abs_score": max_abs(expected[0][..., 4], found[0][..., 4]),
            "max_abs_box_px": 0.0,
            "max_abs_prototype": max_abs(expected[1], found[1]),
            "min_box_iou": 1.0,
            "min_mask_iou": 1.0,
            "min_class_agreement": 1.0,
        }
        for index in range(len(expected[0])):
            a = expected[0][index, :_COMPARED]
            b = found[0][index][_most_alike(a, found[0][index])]
            boxes = (a[:, 2:4] - a[:, :2]).min(axis=1) > 1  # the rest are no segments: nothing keeps the sides apart
            ious = box_ious(a[boxes, :4], b[boxes, :4])
            figures["max_abs_box_px"] = max(figures["max_abs_box_px"], max_abs(a[:, :4], b[:, :4]))
            seen = {
                "min_class_agreement": float((a[:, 5] == b[:, 5]).mean()),
                "min_box_iou": float(ious.min(initial=1.0)),
                "min_mask_iou": min_mask_iou(a[:, 6:], b[:, 6:], expected[1][index], found[1][index]),
            }
            figures |= {name: min(figures[name], figure) for name, figure in seen.items()}
        return figures


def _most_alike(wanted: NDArray[np.float32], there: NDArray[np.float32]) -> NDArray[np.intp]:
    """For each detection (n, 6 + c) the index of the one in (k, 6 + c) that differs least.

    One anchor may be there under several classes: the class counts, but less than another anchor's box would.
    """
    apart = np.abs(wanted[:, None] - there[None])
    apart[..., 5] = apart[..., 5] > 0
    return np.asarray(apart.max(axis=2).argmin(axis=1))
