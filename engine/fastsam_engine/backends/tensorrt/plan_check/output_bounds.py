"""Bounds for the metrics of `output_comparison`: above what rounding explains, below what a user would see.

The table shows the worst values that correct rounding caused, and the smallest that a fault of the output caused:
scores or logits x 0.5, boxes + 3 px, a dead class, a map shifted by one cell or zeroed. They were measured with
`benchmarks/claims/plan_gate.py` on YOLOv8n-seg with real weights, the demo models, and small seeded YOLO26, SegFormer,
DETR and Mask2Former; with TF32, fp16 and bf16 emulated, and with fp16, bf16 and YOLOv8n-seg in int8 on OpenVINO.
The outputs of trunks, heads and masks were measured on those cut from YOLOv8n-seg and YOLO26n-seg.

| metric | TF32 | fp16 | bf16 | int8 | fault |
|---|---|---|---|---|---|
| `box_px` | 0.05 | 0.14 | 0.77 | 0.47 | 3.0 |
| `anchor_box_px` | 0.08 | 0.13 | 2.4 | 1.9 | |
| `score_logit` | 0.02 | 0.06 | 0.17 | 0.22 | 1.1 |
| `query_logit` | 0.003 | 0.05 | 0.06 | | |
| `missing_rows` | 0 | 0 | 0 | | 1.0 |
| `coefficient` | 0.003 | 0.005 | 0.09 | 0.09 | 0.65 |
| `shift_cells` | 0.02 | 0.02 | 0.54 | 0.36 | 0.89 |
| `class_change` | 0 | 0 | 0 | | 0.05 |
| `anchor_class_change` | 0 | | 0 | | 1.0 |
| `distance_cells` | 0.009 | | 0.10 | | 4.8 |
| `mask_shift_cells` | 0.001 | 0.004 | 0.02 | | 0.66 |
| `worst_mask_shift_cells` | 0.002 | 0.12 | 0.14 | | 1.0 |
| `feature` | 0.001 | 0.001 | 0.005 | | 1.0 |
| `cosine_distance` | 2e-7 | 6e-7 | 3e-5 | | 0.04 |
| `row_distance` | 0.007 | 0.009 | 0.07 | | 1.0 |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fastsam_engine.spec.model_spec import Precision


@dataclass(frozen=True, slots=True)
class Bound:
    """A metric in words, and its largest allowed value per precision of the graph; that for fp32 allows for TF32."""

    description: str
    fp32: float
    fp16: float
    bf16: float
    int8: float

    def at(self, precision: Precision) -> float:
        """The largest allowed value for a graph of a precision."""
        return {"fp32": self.fp32, "fp16": self.fp16, "bf16": self.bf16, "int8": self.int8}[precision]


BOUNDS: Mapping[str, Bound] = {
    "box_px": Bound("median error of the surest boxes, px", 0.5, 1.0, 2.0, 2.0),
    "anchor_box_px": Bound("median error of boxes in a part of the anchors, px", 1.0, 1.5, 6.0, 6.0),
    "score_logit": Bound("mean error of a class's scores, logits", 0.1, 0.15, 0.35, 0.35),
    "query_logit": Bound("mean error of a sure query's scores, logits", 0.5, 0.5, 1.0, 1.0),
    "missing_rows": Bound("share of a class's clear detections that only one side has", 0.2, 0.2, 0.5, 0.5),
    "coefficient": Bound("error of mask coefficients, relative", 0.05, 0.1, 0.3, 0.3),
    "shift_cells": Bound("error of a map, as a shift in cells", 0.1, 0.15, 0.7, 0.7),
    "class_change": Bound("share of cells that clearly change their class", 0.005, 0.005, 0.02, 0.02),
    "anchor_class_change": Bound("share of the surest anchors that change their class", 0.1, 0.1, 0.25, 0.25),
    "distance_cells": Bound("median error of a box's sides in a part of the anchors, cells", 0.05, 0.1, 0.3, 0.3),
    "mask_shift_cells": Bound("error of the median mask, as a shift in cells", 0.05, 0.1, 0.3, 0.3),
    "worst_mask_shift_cells": Bound("error of the worst mask, as a shift in cells", 0.5, 0.5, 0.7, 0.7),
    "feature": Bound("error of a query's features, relative", 0.05, 0.05, 0.2, 0.2),
    "cosine_distance": Bound("1 less the cosine of an embedding", 5e-4, 1e-3, 5e-3, 2e-2),
    "row_distance": Bound(
        "error of an embedding, as part of the distance to the nearest other one", 0.2, 0.2, 0.5, 0.5
    ),
    "mean_level": Bound("mean error of an image, grey levels", 0.25, 0.25, 0.25, 0.25),
    "shift_px": Bound("error of an image, as a shift in px", 0.2, 0.2, 0.2, 0.2),
    "mask_shift_px": Bound("error of a mask, as a shift in px", 0.2, 0.2, 0.2, 0.2),
    "relative": Bound("error of a channel, relative", 2e-2, 5e-2, 8e-2, 1.5e-1),
}


@dataclass(frozen=True, slots=True)
class Nearest:
    """A metric and its bound.

    Attributes:
        name: `OUTPUT METRIC`.
        value, limit: The plan's value, and the largest allowed one.
        description: The metric in words.
    """

    name: str
    value: float
    limit: float
    description: str


def nearest_bound(metrics: Mapping[str, float], precision: Precision) -> Nearest | None:
    """The metric that comes nearest to its bound or exceeds it most; None if there are no metrics.

    Args:
        metrics: `OUTPUT METRIC` to value; unknown ones, as earlier versions recorded, are ignored.
        precision: Of the graph.
    """
    known = [(name, value, BOUNDS.get(name.rpartition(" ")[2])) for name, value in metrics.items()]
    held = [
        Nearest(name, value, each.at(precision), each.description) for name, value, each in known if each is not None
    ]
    return max(held, key=lambda each: each.value / each.limit, default=None)
