"""Graphs cut into parts: heads of many kinds give the numbers of the dense graph, or are refused with the reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("onnx")

import onnx

from fastsam_engine import read_spec
from fastsam_export.errors import ParityError, SplitError
from fastsam_export.family import Exported
from fastsam_export.sparse import agreement, part_inputs
from fastsam_export.sparse.branches import find_branches
from fastsam_export.sparse.dense_graph import DenseGraph
from fastsam_export.sparse.split import split_dense
from support import dense_yolo
from support.cut_yolo import cut, outputs
from support.dense_yolo import CHANNELS, SIDE, STRIDES, DenseYolo, floats, usual
from support.typed import image_input


def _deeper(graph: DenseYolo, name: str, features: str) -> str:
    return graph.block(f"{name}.extra", usual(graph, name, features))


def _wider(graph: DenseYolo, name: str, features: str) -> str:
    wide = graph.silu(f"{name}.a", graph.conv(f"{name}.a/Conv", features, CHANNELS, 3 * CHANNELS, (3, 3)))
    return graph.silu(f"{name}.b", graph.conv(f"{name}.b/Conv", wide, 3 * CHANNELS, CHANNELS, (3, 3)))


def _large_kernel(graph: DenseYolo, name: str, features: str) -> str:
    return graph.block(f"{name}.a", features, (5, 5))


def _dilated(graph: DenseYolo, name: str, features: str) -> str:
    return graph.block(f"{name}.b", graph.block(f"{name}.a", features, dilation=2))


def _depthwise(graph: DenseYolo, name: str, features: str) -> str:
    return graph.block(f"{name}.b", graph.block(f"{name}.a", features, group=CHANNELS), (1, 1))


def _flat_kernel(graph: DenseYolo, name: str, features: str) -> str:
    return graph.block(f"{name}.a", features, (1, 3))


def _residual(graph: DenseYolo, name: str, features: str) -> str:
    added = graph.add("Add", f"{name}/Add", features, graph.block(f"{name}.b", graph.block(f"{name}.a", features)))
    joined = graph.add("Concat", f"{name}/Concat", graph.block(f"{name}.c", added), features, axis=1)
    return graph.silu(f"{name}.d", graph.conv(f"{name}.d/Conv", joined, 2 * CHANNELS, CHANNELS, (1, 1)))


def _pointwise(graph: DenseYolo, name: str, features: str) -> str:
    return graph.block(f"{name}.a", features, (1, 1))


def _batch_norm(graph: DenseYolo, name: str, features: str) -> str:
    numbers = [np.linspace(low, 1, CHANNELS, dtype=np.float32) for low in (0.5, 0.2, 0.1, 0.5)]
    return graph.block(f"{name}.a", graph.add("BatchNormalization", f"{name}/norm", features, *numbers))


@pytest.mark.parametrize(
    ("head", "reach"),
    [
        (usual, 2),
        (_deeper, 3),
        (_wider, 2),
        (_large_kernel, 2),
        (_dilated, 3),
        (_depthwise, 1),
        (_flat_kernel, 1),
        (_residual, 3),
        (_pointwise, 0),
        (_batch_norm, 1),
    ],
)
def test_a_local_head_gives_the_same_numbers_on_patches(head: dense_yolo.Head, reach: int, tmp_path: Path) -> None:
    made = cut(tmp_path, heads={"cv2": head, "cv4": head})
    assert {spec.defaults["reach_cells"] for _, spec in made[1:]} == {reach}
    parity = made[0][1].parity
    assert parity is not None
    assert set(parity.worst) == set(agreement.BOUNDS["fp32"])
    dense, found = outputs(tmp_path, np.random.default_rng(0).random((2, 3, SIDE, 2 * SIDE), np.float32))
    np.testing.assert_allclose(found, dense, atol=1e-3)


def test_branches_may_reach_differently_far(tmp_path: Path) -> None:
    made = cut(tmp_path, heads={"cv2": _deeper, "cv4": _flat_kernel})
    assert [spec.defaults.get("reach_cells") for _, spec in made] == [None, 3, 1]


def test_levels_may_reach_differently_far(tmp_path: Path) -> None:
    def head(graph: DenseYolo, name: str, features: str) -> str:
        return (_deeper if "cv2.0" in name else _pointwise)(graph, name, features)

    made = cut(tmp_path, heads={"cv2": head})
    assert made[1][1].defaults["reach_cells"] == 3


def _strided(graph: DenseYolo, name: str, features: str) -> str:
    smaller = graph.block(f"{name}.a", features, strides=[2, 2])
    return graph.add("Resize", f"{name}/Resize", smaller, "", floats(1, 1, 2, 2), mode="nearest")


def _unpadded(graph: DenseYolo, name: str, features: str) -> str:
    padded = graph.add("Pad", f"{name}/Pad", features, np.array([0, 0, 1, 1, 0, 0, 1, 1]), mode="reflect")
    return graph.block(f"{name}.a", padded, pads=[0] * 4)


def _pooled(graph: DenseYolo, name: str, features: str) -> str:
    pooled = graph.add("GlobalAveragePool", f"{name}/pool", graph.block(f"{name}.a", features))
    return graph.add("Mul", f"{name}/Mul", features, pooled)


def _max_pooled(graph: DenseYolo, name: str, features: str) -> str:
    return graph.add("MaxPool", f"{name}/MaxPool", features, kernel_shape=[3, 3], pads=[1] * 4)


def _attention(graph: DenseYolo, name: str, features: str) -> str:
    flat = graph.add("Reshape", f"{name}/flat", features, np.array([0, CHANNELS, -1]))
    turned = graph.add("Transpose", f"{name}/turned", flat, perm=[0, 2, 1])
    keys = graph.add("Softmax", f"{name}/keys", graph.add("MatMul", f"{name}/scores", turned, flat), axis=2)
    mixed = graph.add("Transpose", f"{name}/back", graph.add("MatMul", f"{name}/mixed", keys, turned), perm=[0, 2, 1])
    return graph.add("Reshape", f"{name}/map", mixed, graph.add("Shape", f"{name}/shape", features))


def _placed(graph: DenseYolo, name: str, features: str) -> str:
    side = SIDE // (8 if "2.0" in name else 16)
    return graph.add("Add", f"{name}/Add", features, np.ones((1, 1, side, side), np.float32))


@pytest.mark.parametrize("kind", ["cv2", "cv4"])
@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (_strided, "Conv /model.22/{}.0/{}.0.a/Conv changes the size of its map"),
        (_unpadded, "Pad /model.22/{}.0/{}.0/Pad may look at more"),
        (_pooled, "GlobalAveragePool /model.22/{}.0/{}.0/pool may look at more"),
        (_max_pooled, "MaxPool /model.22/{}.0/{}.0/MaxPool may look at more"),
        (_attention, "/model.22/{}.0/{}.0/"),
    ],
)
def test_a_head_that_is_not_local_is_refused_with_the_reason(
    head: dense_yolo.Head, reason: str, kind: str, tmp_path: Path
) -> None:
    with pytest.raises(SplitError) as error:
        cut(tmp_path, heads={kind: head})
    assert reason.format(kind, kind) in str(error.value)
    assert not list(tmp_path.glob("*small*"))


def test_a_constant_that_differs_from_place_to_place_is_refused(tmp_path: Path) -> None:
    """Such a graph takes one size only."""
    with pytest.raises(SplitError, match="has a constant that differs from place to place"):
        cut(tmp_path, heads={"cv2": _placed})


def test_a_class_branch_may_be_of_any_kind(tmp_path: Path) -> None:
    cut(tmp_path, heads={"cv3": _pooled})


def test_one_class_needs_no_class_ids(tmp_path: Path) -> None:
    made = cut(tmp_path, classes=1)
    assert [output.name for output in made[0][1].outputs] == ["best_logits", "features_8", "features_16"]


def test_parts_that_compute_something_else_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells outside the map that count as inside it."""
    real = part_inputs.around

    def wrong(*arguments: Any) -> dict[str, NDArray[Any]]:
        return {name: np.ones_like(each) if "inside" in name else each for name, each in real(*arguments).items()}

    monkeypatch.setattr(agreement, "around", wrong)
    with pytest.raises(ParityError, match="expected the same outputs as the dense graph, found max_abs_parts_box_px"):
        cut(tmp_path)
    assert not list(tmp_path.glob("*small*"))


def test_another_opset_is_refused(tmp_path: Path) -> None:
    dense_yolo.save(tmp_path / "small.onnx")
    model = onnx.load(str(tmp_path / "small.onnx"))
    model.opset_import[0].version = 17
    onnx.save(model, str(tmp_path / "small.onnx"))
    with pytest.raises(SplitError, match="expected a graph of opset 18, found 17"):
        DenseGraph(tmp_path / "small.onnx", image_input(read_spec(tmp_path / "small.onnx")))


def test_branches_are_found_by_their_names(tmp_path: Path) -> None:
    spec = dense_yolo.save(tmp_path / "small.onnx")
    branches = find_branches(DenseGraph(tmp_path / "small.onnx", image_input(spec)), SIDE)
    assert [level.stride for level in branches.levels] == list(STRIDES)
    assert branches.prototypes.features == branches.levels[0].boxes.features == "/model.0/Mul_output_0"
    assert (branches.prototype_stride, branches.per_cell) == (8, 2)


def test_fp16_graphs_arecut(tmp_path: Path) -> None:
    from fastsam_export.fp16.convert import convert_to_fp16

    (tmp_path / "dense").mkdir()
    path = tmp_path / "dense" / "small.onnx"
    spec = dense_yolo.save(path, classes=1)
    (half,) = convert_to_fp16([Exported(path, spec)], lambda _: None)
    made = split_dense(half, tmp_path, lambda _: None)
    for file in made:
        assert file.spec is not None
        assert file.spec.precision == "fp16"
        weights = onnx.load(str(file.path)).graph.initializer
        assert sum(each.data_type == onnx.TensorProto.FLOAT16 for each in weights) > 4
        assert {*file.spec.input_dtypes} <= {"float32", "int64"}
