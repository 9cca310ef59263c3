"""Measure how much two results of a trunk or of heads differ, whose outputs are per anchor.

The metrics are those of `output_comparison`, which decoded outputs have, too.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastsam_engine.backends.tensorrt.plan_check.output_pairs import Metrics, OutputPairs, relative, wide, worsen
from fastsam_engine.backends.tensorrt.plan_check.row_matching import clear_logits, log_probabilities
from fastsam_engine.device_array import Array
from fastsam_engine.spec.model_spec import Output

_PARTS = 21  # the anchors are split into so many; the coarsest of three levels has 1 / 21 of them
_LEAST_ROWS = 4  # per part
_OF_A_CLASS = 100  # one in so many cells is compared per class: the most likely ones
_SUREST = 100  # one in so many anchors: those whose class a user may see
_SIDES = 4  # of a box


def anchor_logits(pairs: OutputPairs, output: Output) -> Metrics:
    """The highest class logit of every anchor: (n, anchors); the most likely ones, of all and of each part."""
    metrics: Metrics = {}
    for expected, found in zip(*pairs.pair(output), strict=True):
        apart = abs(_clear(expected) - _clear(found))
        for part in (np.arange(len(expected)), *_parts(len(expected))):
            surest = part[np.argsort(-wide(expected)[part])[: -(-len(part) // _LEAST_ROWS)]]
            worsen(metrics, score_logit=apart[surest].mean())
    return metrics


def anchor_classes(pairs: OutputPairs, output: Output) -> Metrics:
    """The class of every anchor, (n, anchors) int32: how many of the surest anchors change theirs."""
    logits = next(each.name for each in pairs.spec.outputs if each.meaning == "anchor-logits")
    metrics: Metrics = {}
    for index, (expected, found) in enumerate(zip(*pairs.pair(output), strict=True)):
        surest = np.argsort(-wide(pairs.expected[logits][index]))[: max(1, len(expected) // _SUREST)]
        worsen(metrics, anchor_class_change=float((expected[surest] != found[surest]).mean()))
    return metrics


def cell_logits(pairs: OutputPairs, output: Output) -> Metrics:
    """Logits of every class in every cell, (n, h, w, classes): the most likely cells of a class."""
    metrics: Metrics = {}
    for expected, found in zip(*pairs.pair(output), strict=True):
        scores, others = (_clear(each.reshape(-1, each.shape[-1])) for each in (expected, found))
        most = -max(1, len(scores) // _OF_A_CLASS)
        likely = np.argpartition(scores, most, axis=0)[most:]
        apart = np.take_along_axis(abs(scores - others), likely, axis=0)
        worsen(metrics, score_logit=apart.mean(axis=0).max())
    return metrics


def anchor_boxes(pairs: OutputPairs, output: Output) -> Metrics:
    """Distances to the sides of a box, in cells, (m, 4), or their distributions as logits, (m, 4 * lengths).

    The rows of a level follow each other, so that every part of the rows is measured.
    """
    expected, found = (_distances(each) for each in pairs.pair(output))
    apart = abs(expected - found)
    worst = max((np.median(apart[part], axis=0).max() for part in _parts(len(apart))), default=0.0)
    metrics: Metrics = {}
    worsen(metrics, distance_cells=worst)
    return metrics


def coefficients(pairs: OutputPairs, output: Output) -> Metrics:
    """Mask coefficients (m, c): each of them in all rows, and all of them in every part of the rows."""
    expected, found = pairs.pair(output)
    metrics: Metrics = {"coefficient": relative(expected.T, found.T).max(initial=0.0)}
    for part in _parts(len(expected)):
        worsen(metrics, coefficient=relative(expected[part].ravel(), found[part].ravel()).max())
    return metrics


def _distances(boxes: Array) -> NDArray[np.float32]:
    """Distances (m, 4) of raw boxes: the mean of each distribution (arXiv 2006.04388), as a decoder takes it."""
    if boxes.shape[1] == _SIDES:
        return wide(boxes)
    logits = wide(boxes).reshape(len(boxes), _SIDES, -1)
    return np.asarray(np.exp(log_probabilities(logits)) @ np.arange(logits.shape[2], dtype=np.float32))


def _clear(logits: Array) -> NDArray[np.float32]:
    """Logits that are flattened where rounding dominates; see `clear_logits`."""
    return clear_logits(1 / (1 + np.exp(-wide(logits))))


def _parts(count: int) -> list[NDArray[np.intp]]:
    return np.array_split(np.arange(count), max(1, min(_PARTS, count // _LEAST_ROWS))) if count else []
