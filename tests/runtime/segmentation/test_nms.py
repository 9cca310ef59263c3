"""NMS by blocks, compared with the plain greedy loop and with OpenCV."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from fastsam_trt.segmentation.nms import nms


def _random(n: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    centres = generator.uniform(0, 400, (max(n // 6, 1), 2))
    centres = centres[generator.integers(0, len(centres), n)] + generator.normal(0, 6, (n, 2))
    sizes = generator.uniform(20, 120, (n, 2))
    boxes = np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1).astype(np.float32)
    scores = generator.permutation(np.linspace(0.05, 0.95, n)).astype(np.float32)
    return boxes, scores, generator.integers(0, classes, n).astype(np.int32)


def _greedy(boxes: np.ndarray, scores: np.ndarray, class_ids: np.ndarray, iou: float, limit: int) -> list[int]:
    """The plain greedy algorithm, in double precision."""
    kept: list[int] = []
    for i in np.argsort(-scores, kind="stable"):
        for j in kept:
            if class_ids[i] != class_ids[j]:
                continue
            a, b = boxes[i].astype(float), boxes[j].astype(float)
            sides = np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0)
            inter = sides[0] * sides[1]
            if inter / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter) > iou:
                break
        else:
            kept.append(int(i))
    return kept[:limit]


@pytest.mark.parametrize("n", [0, 1, 2, 17, 127, 128, 129, 500, 900])
@pytest.mark.parametrize("classes", [1, 5])
@pytest.mark.parametrize("iou", [0.3, 0.7])
def test_nms_equals_the_greedy_loop(n: int, classes: int, iou: float) -> None:
    boxes, scores, class_ids = _random(n, classes, seed=n)
    assert nms(boxes, scores, class_ids, iou, 1000).tolist() == _greedy(boxes, scores, class_ids, iou, 1000)
    assert nms(boxes, scores, class_ids, iou, 7).tolist() == _greedy(boxes, scores, class_ids, iou, 7)


def test_nms_agrees_with_opencv() -> None:
    boxes, scores, class_ids = _random(400, 4, seed=3)
    extents = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    expected = cv2.dnn.NMSBoxesBatched(extents.tolist(), scores.tolist(), class_ids.tolist(), 0.0, 0.5)
    assert sorted(nms(boxes, scores, class_ids, 0.5, 400).tolist()) == sorted(np.ravel(expected).tolist())


def test_ties_keep_their_order() -> None:
    boxes = np.tile(np.array([[0, 0, 10, 10]], np.float32), (5, 1))
    same = np.full(5, 0.5, np.float32)
    assert nms(boxes, same, np.zeros(5, np.int32), 0.5, 5).tolist() == [0]
    assert nms(boxes, same, np.arange(5, dtype=np.int32), 0.5, 5).tolist() == [0, 1, 2, 3, 4]


def test_empty_boxes_are_kept() -> None:
    boxes = np.array([[5, 5, 5, 5], [5, 5, 5, 5]], np.float32)
    assert nms(boxes, np.array([0.9, 0.8], np.float32), np.zeros(2, np.int32), 0.5, 5).tolist() == [0, 1]


def test_large_class_ids_lose_no_precision() -> None:
    boxes, scores, class_ids = _random(300, 3, seed=5)
    boxes = np.concatenate([boxes / 1000, np.float32([[0, 0, 1e6, 1e6]])])  # one box that dwarfs all others
    scores, class_ids = np.append(scores, np.float32(0.99)), np.append(class_ids, np.int32(0))
    expected = nms(boxes, scores, class_ids, 0.5, 400).tolist()
    assert expected == _greedy(boxes, scores, class_ids, 0.5, 400)
    assert nms(boxes, scores, np.int32(2**31 - 1) - class_ids, 0.5, 400).tolist() == expected
