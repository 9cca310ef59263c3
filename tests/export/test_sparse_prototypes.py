"""Prototypes of a part of a map: branches of several kinds, and those that can not be cut."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")


from fastsam_export.errors import SplitError
from support import dense_yolo
from support.cut_yolo import cut, prototypes
from support.dense_yolo import CHANNELS, COEFFICIENTS, SIDE, DenseYolo, floats


def _three_by_three(graph: DenseYolo, features: str) -> str:
    """A deeper prototype branch with an enlargement by copies, after a sum of two maps."""
    enlarged = graph.block("/model.22/proto/refine", graph.add("Add", "/model.22/proto/Add", features, features))
    double = graph.add(
        "Resize", "/model.22/proto/Resize", enlarged, "", floats(1, 1, 2, 2), mode="nearest",
        coordinate_transformation_mode="asymmetric", nearest_mode="floor",
    )  # fmt: skip
    first = graph.block("/model.22/proto/cv1", graph.block("/model.22/proto/cv0", double, (5, 5)))
    return graph.conv("/model.22/proto/cv3/Conv", first, CHANNELS, COEFFICIENTS, (1, 1))


def _from_two_maps(graph: DenseYolo, features: str) -> str:
    """As YOLO26: the maps are fused before the branch is local."""
    small = graph.add("Resize", "/model.22/proto/Resize", "/model.1/Mul_output_0", "", floats(1, 1, 2, 2))
    return dense_yolo.usual_prototypes(graph, graph.add("Add", "/model.22/proto/Add", features, small))


@pytest.mark.parametrize(
    ("branch", "margin", "features"),
    [
        (dense_yolo.usual_prototypes, 2, "features_8"),
        (_three_by_three, 3, "features_8"),
        (_from_two_maps, 2, "mask_features"),
    ],
)
def test_prototypes_of_a_part_are_those_of_the_map(
    branch: Callable[[DenseYolo, str], str], margin: int, features: str, tmp_path: Path
) -> None:
    made = cut(tmp_path, prototypes=branch)
    trunk, masks = made[0][1], made[2][1]
    assert (masks.defaults["margin_cells"], masks.defaults["prototypes_per_cell"]) == (margin, 2)
    assert features in masks.input_names
    assert features in [output.name for output in trunk.outputs]
    batch = np.random.default_rng(0).random((1, 3, SIDE, 2 * SIDE), np.float32)
    for rows in ((0, 12), (0, 1), (5, 8), (11, 12)):
        for columns in ((0, 24), (0, 2), (10, 11), (20, 24)):
            expected, found = prototypes(tmp_path, batch, rows, columns)
            np.testing.assert_allclose(found, expected, atol=1e-4)


def _linear(graph: DenseYolo, features: str) -> str:
    double = graph.add("Resize", "/model.22/proto/Resize", features, "", floats(1, 1, 2, 2), mode="linear")
    return graph.conv("/model.22/proto/cv3/Conv", double, CHANNELS, COEFFICIENTS, (1, 1))


def _no_prototypes(graph: DenseYolo, features: str) -> str:
    weight = np.ones((CHANNELS, COEFFICIENTS, 2, 2), np.float32)
    return graph.add("ConvTranspose", "/model.22/other", features, weight, kernel_shape=[2, 2], strides=[2, 2])


@pytest.mark.parametrize(
    ("branch", "reason"),
    [
        (_linear, "Resize /model.22/proto/Resize does not enlarge its map by whole blocks"),
        (_no_prototypes, "found 2 box, 2 class, 2 coefficient branches and no prototype branch"),
    ],
)
def test_prototypes_that_can_not_be_cut_are_refused(
    branch: Callable[[DenseYolo, str], str], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(SplitError, match=reason):
        cut(tmp_path, prototypes=branch)
