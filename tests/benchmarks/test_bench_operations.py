"""Operations and bytes of graphs: small ones counted by hand, and real ones with published numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from fastsam_bench.errors import GraphCountError  # noqa: E402
from fastsam_bench.roofline.operations import count, session_costs  # noqa: E402
from fastsam_engine import open_session  # noqa: E402
from fastsam_engine.errors import PackagesMissingError  # noqa: E402


def graph(nodes: list, given: dict[str, list], made: str, dtypes: dict | None = None, **weights: object) -> object:
    """A model with these nodes, input shapes and weights, which are arrays, or shapes of zeros."""
    dtypes = dtypes or {}
    inputs = [helper.make_tensor_value_info(n, dtypes.get(n, TensorProto.FLOAT), s) for n, s in given.items()]
    output = helper.make_tensor_value_info(made, dtypes.get(made, TensorProto.FLOAT), None)
    arrays = {n: w if isinstance(w, np.ndarray) else np.zeros(w, np.float32) for n, w in weights.items()}
    constants = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    made_graph = helper.make_graph(nodes, "g", inputs, [output], constants)
    return helper.make_model(made_graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


node = helper.make_node


def test_a_convolution_counts_its_kernel_at_each_output_position() -> None:
    conv = node("Conv", ["x", "w"], ["y"], strides=[2, 2], pads=[1, 1, 1, 1])
    costs = count(graph([conv], {"x": [1, 3, 8, 8]}, "y", w=(16, 3, 3, 3)), {})
    assert costs.by_operator == {"Conv": 2 * (16 * 4 * 4) * (3 * 3 * 3)}
    assert costs.operations == costs.published_operations


def test_groups_divide_the_operations() -> None:
    conv = node("Conv", ["x", "w"], ["y"], group=4, pads=[1, 1, 1, 1])
    assert count(graph([conv], {"x": [1, 4, 8, 8]}, "y", w=(4, 1, 3, 3)), {}).operations == 2 * (4 * 8 * 8) * 9


def test_a_dilated_convolution_counts_its_taps_not_their_span() -> None:
    conv = node("Conv", ["x", "w"], ["y"], dilations=[3, 3])
    assert count(graph([conv], {"x": [1, 2, 9, 9]}, "y", w=(5, 2, 3, 3)), {}).operations == 2 * (5 * 3 * 3) * 18


def test_a_convolution_along_one_axis() -> None:
    conv = node("Conv", ["x", "w"], ["y"], strides=[4])
    assert count(graph([conv], {"x": [3, 2, 16]}, "y", w=(5, 2, 4)), {}).operations == 2 * (3 * 5 * 4) * 8


@pytest.mark.parametrize(("side", "stride", "groups"), [(2, 2, 1), (4, 2, 2), (3, 1, 1)])
def test_a_transposed_convolution_counts_its_kernel_at_each_input_position(side: int, stride: int, groups: int) -> None:
    conv = node("ConvTranspose", ["x", "w"], ["y"], strides=[stride, stride], group=groups)
    costs = count(graph([conv], {"x": [1, 8, 5, 5]}, "y", w=(8, 6 // groups, side, side)), {})
    assert costs.by_operator == {"ConvTranspose": 2 * (8 * 5 * 5) * (6 // groups * side * side)}
    made = (5 - 1) * stride + side  # the side of its output
    assert costs.published_operations == 2 * (6 * made * made) * (8 // groups * side * side)


def test_products_of_matrices_in_batches_that_are_spread() -> None:
    nodes = [node("MatMul", ["x", "w"], ["m"]), node("MatMul", ["m", "v"], ["y"])]
    model = graph(nodes, {"x": [2, 3, 5, 7], "v": [3, 4, 6]}, "y", w=(7, 4))
    assert count(model, {}).by_operator == {"MatMul": 2 * 6 * (5 * 4 * 7 + 5 * 6 * 4)}


def test_a_product_with_a_vector() -> None:
    assert count(graph([node("MatMul", ["x", "w"], ["y"])], {"x": [5, 7]}, "y", w=(7,)), {}).operations == 2 * 5 * 7


@pytest.mark.parametrize(("flipped", "shape"), [(0, [3, 7]), (1, [7, 3])])
def test_a_gemm_sums_over_the_inner_axis(flipped: int, shape: list[int]) -> None:
    gemm = node("Gemm", ["x", "w"], ["y"], transA=flipped)
    assert count(graph([gemm], {"x": shape}, "y", w=(7, 5)), {}).by_operator == {"Gemm": 2 * 3 * 5 * 7}


@pytest.mark.parametrize(
    ("equation", "shapes", "each"),
    [("bqc,bchw->bqhw", ([2, 3, 5], [2, 5, 4, 6]), 2 * 3 * 5 * 4 * 6), ("ij, j -> i", ([3, 5], [5]), 15)],
)
def test_an_einsum_counts_all_its_axes(equation: str, shapes: Sequence[list[int]], each: int) -> None:
    einsum = node("Einsum", ["x", "v"], ["y"], equation=equation)
    assert count(graph([einsum], {"x": shapes[0], "v": shapes[1]}, "y"), {}).by_operator == {"Einsum": 2 * each}


def test_an_einsum_that_only_turns_axes_counts_nothing() -> None:
    assert not count(graph([node("Einsum", ["x"], ["y"], equation="ij->ji")], {"x": [2, 3]}, "y"), {}).operations


def test_an_einsum_of_three_is_refused() -> None:
    einsum = node("Einsum", ["x", "x", "x"], ["y"], equation="ij,jk,kl->il")
    with pytest.raises(GraphCountError, match="Einsum of two arrays"):
        count(graph([einsum], {"x": [2, 2]}, "y"), {})


def test_a_quantised_graph_has_the_same_operations() -> None:
    scale, zero = np.array(0.1, np.float32), np.array(0, np.uint8)
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        node("DequantizeLinear", ["w", "s"], ["dw"]),
        node("Conv", ["d", "dw"], ["y"]),
    ]
    model = graph(nodes, {"x": [1, 3, 8, 8]}, "y", s=scale, z=zero, w=np.zeros((4, 3, 3, 3), np.int8))
    costs = count(model, {}, "int8")
    assert costs.by_operator == {"Conv": 2 * (4 * 6 * 6) * 27}
    assert costs.weight_bytes == 4 * 27 + 1 + 1  # one byte a number, the scale and zero point included
    assert costs.node_bytes == 3 * 64 + 4 * 27 + 4 * 36
    whole = node("QLinearConv", ["x", "s", "z", "w", "s", "zw", "s", "z"], ["y"])
    model = graph([whole], {"x": [1, 3, 8, 8]}, "y", {"x": TensorProto.UINT8, "y": TensorProto.UINT8},
                  s=scale, z=zero, zw=np.array(0, np.int8), w=np.zeros((4, 3, 3, 3), np.int8))  # fmt: skip
    assert count(model, {}).by_operator == {"QLinearConv": 2 * (4 * 6 * 6) * 27}


def test_dynamic_axes_take_the_given_lengths() -> None:
    shape, reshape = node("Shape", ["x"], ["s"]), node("Reshape", ["c", "s"], ["r"])
    nodes = [node("Conv", ["x", "w"], ["c"]), shape, reshape, node("Conv", ["r", "w"], ["y"])]
    model = graph(nodes, {"x": ["n", 4, "h", "w"]}, "y", w=(4, 4, 1, 1))
    assert count(model, {"x": (2, 4, 6, 10)}).operations == 2 * 2 * (2 * 4 * 6 * 10) * 4
    assert count(model, {"x": (1, 4, 6, 10)}).operations == 2 * (2 * 4 * 6 * 10) * 4


def test_shapes_that_only_a_run_tells_are_found_by_one() -> None:
    nodes = [node("Shape", ["x"], ["s"], start=0, end=1), node("Squeeze", ["s"], ["n"]),
             node("Range", ["a", "n", "b"], ["r"]), node("Unsqueeze", ["r", "i"], ["c"]),
             node("Cast", ["c"], ["f"], to=TensorProto.FLOAT), node("MatMul", ["f", "w"], ["y"])]  # fmt: skip
    numbers = {name: np.array(value, np.int64) for name, value in {"a": 0, "b": 1, "i": [1]}.items()}
    model = graph(nodes, {"x": ["n", 2]}, "y", **numbers, w=(1, 2000))
    assert count(model, {"x": (6, 2)}).by_operator == {"MatMul": 2 * 6 * 2000}


def test_only_products_are_counted() -> None:
    costs = count(graph([node("Relu", ["x"], ["y"])], {"x": [1, 3]}, "y"), {})
    assert not costs.operations
    assert costs.node_bytes == costs.minimal_bytes == 2 * 3 * 4


@pytest.mark.parametrize(
    ("shapes", "found"), [({}, r"\(4,\)"), ({"x": (2, 5)}, r"\(2, 5\)"), ({"x": (2, 4, 1)}, r"\(2, 4, 1\)")]
)
def test_shapes_that_do_not_fit_are_refused(shapes: dict[str, tuple[int, ...]], found: str) -> None:
    model = graph([node("MatMul", ["x", "w"], ["y"])], {"x": ["n", 4]}, "y", w=(4, 4))
    with pytest.raises(GraphCountError, match=rf"expected a shape \(n, 4\) for the input 'x', found {found}"):
        count(model, shapes)


def test_operations_of_a_subgraph_are_not_dropped_silently() -> None:
    bodies = [
        helper.make_graph(
            [node("MatMul", ["x", "x"], [name])],
            name, [], [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4, 4])],
        )
        for name in ("a", "b")
    ]  # fmt: skip
    model = graph([node("If", ["c"], ["y"], then_branch=bodies[0], else_branch=bodies[1])], {"x": [4, 4]}, "y", c=())
    with pytest.raises(GraphCountError, match="found If"):
        count(model, {})


def test_unknown_operators_are_not_dropped_silently() -> None:
    foreign = node("FusedMatMul", ["x", "w"], ["y"], domain="com.microsoft")
    with pytest.raises(GraphCountError, match=r"found com\.microsoft\.FusedMatMul"):
        count(graph([foreign], {"x": [3, 4]}, "y", w=(4, 4)), {})
    recurrent = node("RNN", ["x", "w", "r"], ["y"], hidden_size=2)
    with pytest.raises(GraphCountError, match="found RNN"):
        count(graph([recurrent], {"x": [5, 1, 4]}, "y", w=(1, 2, 4), r=(1, 2, 2)), {})


@pytest.mark.parametrize(("precision", "width"), [(None, 4), ("fp32", 4), ("tf32", 4), ("bf16", 2), ("fp16", 2)])
def test_bytes_have_the_width_of_the_computed_precision(precision: str | None, width: int) -> None:
    nodes = [node("MatMul", ["x", "w"], ["m"]), node("Relu", ["m"], ["y"])]
    costs = count(graph(nodes, {"x": [3, 4]}, "y", w=(4, 5)), {}, precision)
    assert (costs.weight_bytes, costs.input_bytes, costs.output_bytes) == (20 * width, 12 * 4, 15 * 4)
    assert costs.minimal_bytes == 20 * width + 12 * 4 + 15 * 4
    assert costs.node_bytes == (12 + 20 + 15 + 15 + 15) * width
    assert [(each.operator, each.operations, each.nbytes) for each in costs.nodes] == [
        ("MatMul", 120, 47 * width), ("Relu", 0, 30 * width)
    ]  # fmt: skip


def test_a_weight_used_twice_counts_once_and_an_unused_one_never() -> None:
    nodes = [node("MatMul", ["x", "w"], ["m"]), node("MatMul", ["m", "w"], ["y"])]
    assert count(graph(nodes, {"x": [3, 4]}, "y", w=(4, 4), idle=(9, 9)), {}).weight_bytes == 16 * 4


def test_of_a_table_only_the_rows_that_are_looked_up_are_read() -> None:
    lookup = node("Gather", ["table", "ids"], ["y"])
    model = graph([lookup], {"ids": [1, 7]}, "y", {"ids": TensorProto.INT64}, table=(1000, 8))
    costs = count(model, {})
    assert costs.weight_bytes == 7 * 8 * 4
    assert costs.input_bytes == 7 * 8
    assert costs.node_bytes == 2 * 7 * 8 * 4 + 7 * 8


def test_a_view_moves_nothing() -> None:
    nodes = [node("Reshape", ["x", "s"], ["r"]), node("Relu", ["r"], ["y"])]
    assert count(graph(nodes, {"x": [2, 6]}, "y", s=np.array([12], np.int64)), {}).node_bytes == 2 * 12 * 4


def test_a_session_counts_with_the_pictures_and_the_precision_that_it_has(home: Path) -> None:
    path = home / "models" / "colours" / "colours.onnx"
    pytest.importorskip("openvino")
    session = open_session(path, "openvino", "cpu", "fp32", frames=True)
    name = session.spec.input_names[0]
    assert session.spec.input_dtypes == ("uint8",)
    costs = session_costs(session, {name: (2, 64, 96, 3)})
    plain = count(path, {name: (2, 3, 64, 96)})
    assert costs.operations == plain.operations > 0
    assert costs.input_bytes == 2 * 3 * 64 * 96 == plain.input_bytes // 4
    assert costs.weight_bytes == plain.weight_bytes


def test_without_onnx_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(PackagesMissingError, match=r"pip install 'fastsam-trt\[bench\]'"):
        count(Path("any.onnx"), {})


def test_yolov8n_seg_has_the_published_operations(export_extra: None, tmp_path: Path, monkeypatch) -> None:
    """ultralytics' table: 12.6 GFLOPs at 640 x 640, and 3.4 million weights."""
    monkeypatch.chdir(tmp_path)  # where it writes
    monkeypatch.setenv("YOLO_AUTOINSTALL", "false")
    import torch
    import ultralytics

    torch.manual_seed(0)
    yolo = ultralytics.YOLO("yolov8n-seg.yaml", task="segment", verbose=False)
    made = yolo.export(format="onnx", imgsz=640, dynamic=True, simplify=False, opset=18, verbose=False)
    costs = count(Path(made), {"images": (1, 3, 640, 640)})
    assert costs.published_operations / 1e9 == pytest.approx(12.6, rel=0.02)
    assert costs.operations == costs.published_operations - 3 * costs.by_operator["ConvTranspose"]
    assert costs.weight_bytes / 4e6 == pytest.approx(3.4, rel=0.02)
    wide = count(Path(made), {"images": (1, 3, 384, 640)})
    assert wide.operations / costs.operations == pytest.approx(0.6, rel=1e-3)


@pytest.mark.parametrize(
    ("tower", "published", "weights"),
    [("vision", 8.82, 87.8e6), ("text", 5.96, 37.8e6 + 77 * 512)],
)
def test_clip_vit_b_32_has_the_published_operations(
    export_extra: None, tmp_path: Path, tower: str, published: float, weights: float
) -> None:
    """open_clip's table for ViT-B-32: GFLOPs per item. One row of the token table is read per token."""
    import torch
    import transformers

    from fastsam_export.families.clip import _tower

    torch.manual_seed(0)
    if tower == "vision":
        model = transformers.CLIPVisionModelWithProjection(transformers.CLIPVisionConfig()).eval()
        module, example = _tower(model.vision_model, model.visual_projection), torch.zeros(1, 3, 224, 224)
    else:
        config = transformers.CLIPTextConfig(bos_token_id=0, eos_token_id=1)
        model = transformers.CLIPTextModelWithProjection(config).eval()
        module, example = _tower(model.text_model, model.text_projection), torch.zeros(1, 77, dtype=torch.int64)
    path = tmp_path / "tower.onnx"
    torch.onnx.export(
        module, (example,), str(path), opset_version=18, dynamo=False, input_names=["given"], do_constant_folding=False
    )
    costs = count(path, {})
    assert costs.operations / 1e9 == pytest.approx(published, rel=0.02)
    assert costs.weight_bytes / 4 == pytest.approx(weights, rel=0.02)
