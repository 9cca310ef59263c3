"""Measure how much two results of a graph differ, in the units of its outputs: px, logits, cells of a map.

One function per meaning of an output returns its metrics: name to the worst value, 0 for no difference. The bounds of
the metrics are in `output_bounds`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fastsam_engine.backends.tensorrt.plan_check import part_comparison
from fastsam_engine.backends.tensorrt.plan_check.output_pairs import (
    TINY,
    Comparison,
    Metrics,
    OutputPairs,
    compare_maps,
    has_channels_last,
    map_errors,
    relative,
    wide,
    worsen,
)
from fastsam_engine.backends.tensorrt.plan_check.row_matching import clear_logits, compare_rows, log_probabilities
from fastsam_engine.device_array import Array
from fastsam_engine.spec.model_input import ImageInput
from fastsam_engine.spec.model_spec import Output

_SUREST = 50  # anchors per image whose boxes a user may see
_PARTS = 21  # the anchors are split into so many; the coarsest of three levels has 1 / 21 of them
_OF_A_CLASS = 100  # one in so many anchors is compared per class: the most likely ones
_APART = 0.05  # lower limit for the distance of unit embeddings
_LEVELS = 255
_CLEAR = 0.1  # margin of a clear winner among classes, as a part of all logits' standard deviation
_EDGE_BITS = 64  # lower limit for the length of a mask's edge, pixels


def compare(pairs: OutputPairs) -> dict[str, float]:
    """The metrics of all outputs: `OUTPUT METRIC` to its value; infinite if numbers are too large to compare."""
    metrics: Metrics = {}
    with np.errstate(over="ignore", invalid="ignore"):
        for output in pairs.spec.outputs:
            found = _COMPARISONS.get(output.meaning, _channels)(pairs, output)
            worsen(metrics, **{f"{output.name} {metric}": value for metric, value in found.items()})
    return metrics


def _yolo_detections(pairs: OutputPairs, output: Output) -> Metrics:
    """Boxes, class scores and mask coefficients of every anchor: (n, 4 + classes + c, anchors)."""
    metrics: Metrics = {}
    end = 4 + len(pairs.spec.class_names)
    for expected, found in zip(*pairs.pair(output), strict=True):
        boxes = abs(wide(expected[:4]) - found[:4])
        scores = clear_logits(expected[4:end])
        apart = abs(scores - clear_logits(found[4:end]))
        likely = expected[4:end].max(axis=0)
        surest = np.argsort(-likely)[:_SUREST]
        of_a_class = -max(1, scores.shape[1] // _OF_A_CLASS)
        each_class = np.argpartition(scores, of_a_class, axis=1)[:, of_a_class:]
        parts = [part for part in np.array_split(np.arange(scores.shape[1]), _PARTS) if len(part)]
        likeliest = [part[np.argsort(-likely[part])[: -(-len(part) // 4)]] for part in parts]
        best = scores.argmax(axis=0)
        worsen(
            metrics,
            box_px=np.median(boxes[:, surest], axis=1).max(),
            anchor_box_px=max(np.median(boxes[:, part], axis=1).max() for part in parts),
            score_logit=np.take_along_axis(apart, each_class, axis=1).mean(axis=1).max(),
            coefficient=relative(expected[end:], found[end:]).max(initial=0.0),
        )
        worsen(metrics, score_logit=max(apart[best[part], part].mean() for part in likeliest))
    return metrics


def _end_to_end(pairs: OutputPairs, output: Output) -> Metrics:
    """Detections that need no NMS, best first: (n, k, 6 + c)."""
    metrics: Metrics = {}
    for expected, found in zip(*pairs.pair(output), strict=True):
        worsen(metrics, **compare_rows(wide(expected), wide(found)))
    return metrics


def _class_map(pairs: OutputPairs, output: Output) -> Metrics:
    """Logits of every class in every cell, (n, classes, h, w); near ties may change the class of a cell.

    Maps with the channels last, (n, h, w, classes), are those of a detector: most cells show no class.
    """
    if has_channels_last(output):
        return part_comparison.cell_logits(pairs, output)
    expected, found = (wide(each) for each in pairs.pair(output))
    chosen = found.argmax(axis=1)[:, None]
    lost = expected.max(axis=1) - np.take_along_axis(expected, chosen, axis=1)[:, 0]
    return {**compare_maps(pairs, output), "class_change": float((lost > _CLEAR * max(expected.std(), TINY)).mean())}


def _query_logits(pairs: OutputPairs, output: Output) -> Metrics:
    """Class logits of queries (n, q, classes + 1), which go through a softmax."""
    metrics: Metrics = {}
    for expected, found in zip(*pairs.pair(output), strict=True):
        logits = log_probabilities(expected)
        apart = abs(logits - log_probabilities(found))
        worsen(metrics, score_logit=apart.mean(axis=0).max(), query_logit=apart[_surest(expected)].mean(axis=1).max())
    return metrics


def _query_boxes(pairs: OutputPairs, output: Output) -> Metrics:
    """Boxes of queries (n, q, 4): cx, cy, w, h in 0..1 of the input."""
    image = pairs.spec.input
    size = np.array([image.width, image.height] * 2 if isinstance(image, ImageInput) else [1] * 4)
    expected, found = pairs.pair(output)
    return {"box_px": float(np.max(np.median(abs(wide(expected) - found), axis=1) * size))}


def _query_masks(pairs: OutputPairs, output: Output) -> Metrics:
    """Mask logits of queries (n, q, h, w): the median query, and the worst query with a certain class."""
    apart, shifted, _ = map_errors(*pairs.pair(output))
    cells = np.sqrt(apart / np.maximum(shifted, TINY))
    classes = next((each.name for each in pairs.spec.outputs if each.meaning == "query-class-logits"), None)
    metrics: Metrics = {}
    for index, queries in enumerate(cells):
        sure = slice(None) if classes is None else _surest(pairs.expected[classes][index])
        worsen(metrics, mask_shift_cells=np.median(queries), worst_mask_shift_cells=queries[sure].max())
    return metrics


def _features(pairs: OutputPairs, output: Output) -> Metrics:
    """Features of queries (n, q, d)."""
    expected, found = pairs.pair(output)
    return {"feature": float(relative(expected, found).max(initial=0.0))}


def _embedding(pairs: OutputPairs, output: Output) -> Metrics:
    """Embeddings (n, d): the angle, and the distance as a part of the one to the row most alike."""
    expected, found = (_unit(each) for each in pairs.pair(output))
    off = np.linalg.norm(expected - found, axis=1)
    between = np.linalg.norm(expected[:, None] - expected, axis=2)
    between[np.diag_indices(len(between))] = np.inf
    nearest = between.min(axis=1).clip(_APART, 1)
    return {"cosine_distance": float(np.square(off).max() / 2), "row_distance": float((off / nearest).max())}


def _model_input(pairs: OutputPairs, output: Output) -> Metrics:
    """Images (n, 3, h, w) as a model takes them: grey levels, of which the samples span nearly all, and px."""
    expected, found = pairs.pair(output)
    apart = abs(wide(expected) - found) * (_LEVELS / max(float(np.ptp(expected)), TINY))
    return {"mean_level": float(apart.mean(axis=(2, 3)).max()), "shift_px": compare_maps(pairs, output)["shift_cells"]}


def _packed_masks(pairs: OutputPairs, output: Output) -> Metrics:
    """Masks (n, h, w / 8), a bit for each pixel."""
    metrics: Metrics = {}
    for expected, found in zip(*pairs.pair(output), strict=True):
        bits = np.unpackbits(expected, axis=1)
        wrong = np.count_nonzero(bits != np.unpackbits(found, axis=1))
        down, across = (int(np.count_nonzero(bits != np.roll(bits, 1, axis))) for axis in (0, 1))
        worsen(metrics, mask_shift_px=wrong / max(min(down, across), _EDGE_BITS))
    return metrics


def _channels(pairs: OutputPairs, output: Output) -> Metrics:
    """Anything else, by channel (axis 1)."""
    expected, found = pairs.pair(output)
    if expected.ndim > 1:
        expected, found = (each.swapaxes(0, 1).reshape(each.shape[1], -1) for each in (expected, found))
    return {"relative": float(relative(expected, found).max(initial=0.0))}


_COMPARISONS: Mapping[str, Comparison] = {
    "yolo-detections": _yolo_detections,
    "yolo-end2end-detections": _end_to_end,
    "mask-prototypes": compare_maps,
    "class-logits": _class_map,
    "anchor-logits": part_comparison.anchor_logits,
    "anchor-classes": part_comparison.anchor_classes,
    "anchor-boxes": part_comparison.anchor_boxes,
    "mask-coefficients": part_comparison.coefficients,
    "features": compare_maps,
    "prototype-features": compare_maps,
    "query-class-logits": _query_logits,
    "query-boxes": _query_boxes,
    "query-mask-logits": _query_masks,
    "query-features": _features,
    "attention-keys": compare_maps,
    "mask-features": compare_maps,
    "mask-pyramid": compare_maps,
    "embedding": _embedding,
    "model-input": _model_input,
    "packed-masks": _packed_masks,
}


def _unit(array: Array) -> NDArray[np.float32]:
    """Rows scaled to length 1."""
    rows = wide(array)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), TINY))


def _surest(logits: Array) -> NDArray[np.intp]:
    """The quarter of the queries (q, classes + 1) with the most certain class; the last class means none."""
    sure = log_probabilities(logits)[:, :-1].max(axis=1)
    return np.argsort(-sure)[: max(1, len(sure) // 4)]
