"""The operation counter of the benchmarks, on small graphs whose operations can be counted by hand."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from fastsam_engine.model_store import models_folder  # noqa: E402

MODELS = models_folder()  # the user's own, which a fixture hides from tests
BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def flops() -> ModuleType:
    """The module, which lies in no package."""
    spec = importlib.util.spec_from_file_location("flops", BENCHMARKS / "flops.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def graph(nodes: list, given: dict[str, list], made: str, **weights: tuple[int, ...]) -> object:
    """A model of some nodes with inputs of given shapes and weights of zeros."""
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in given.items()]
    output = helper.make_tensor_value_info(made, TensorProto.FLOAT, None)
    constants = [numpy_helper.from_array(np.zeros(shape, np.float32), name) for name, shape in weights.items()]
    made_graph = helper.make_graph(nodes, "g", inputs, [output], constants)
    return helper.make_model(made_graph, opset_imports=[helper.make_opsetid("", 18)])


def test_a_convolution_counts_its_kernel_at_each_place_of_its_output(flops: ModuleType) -> None:
    node = helper.make_node("Conv", ["x", "w"], ["y"], strides=[2, 2], pads=[1, 1, 1, 1])
    model = graph([node], {"x": [1, 3, 8, 8]}, "y", w=(16, 3, 3, 3))
    assert flops.count(model, {}) == {"Conv": 2 * (16 * 4 * 4) * (3 * 3 * 3)}


def test_groups_divide_the_operations(flops: ModuleType) -> None:
    node = helper.make_node("Conv", ["x", "w"], ["y"], group=4, pads=[1, 1, 1, 1])
    model = graph([node], {"x": [1, 4, 8, 8]}, "y", w=(4, 1, 3, 3))
    assert flops.count(model, {}).total() == 2 * (4 * 8 * 8) * 9


def test_a_transposed_convolution_counts_its_kernel_at_each_place_of_its_input(flops: ModuleType) -> None:
    node = helper.make_node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2])
    model = graph([node], {"x": [1, 8, 5, 5]}, "y", w=(8, 6, 2, 2))
    assert flops.count(model, {}) == {"ConvTranspose": 2 * (8 * 5 * 5) * (6 * 2 * 2)}


def test_products_of_matrices(flops: ModuleType) -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["m"]), helper.make_node("MatMul", ["m", "x"], ["y"])]
    model = graph(nodes, {"x": [2, 3, 5, 7]}, "y", w=(7, 5))
    assert flops.count(model, {}) == {"MatMul": 2 * 6 * (5 * 5 * 7 + 5 * 7 * 5)}


@pytest.mark.parametrize(("flipped", "shape"), [(0, [3, 7]), (1, [7, 3])])
def test_a_gemm_sums_over_the_inner_axis(flops: ModuleType, flipped: int, shape: list[int]) -> None:
    node = helper.make_node("Gemm", ["x", "w"], ["y"], transA=flipped)
    assert flops.count(graph([node], {"x": shape}, "y", w=(7, 5)), {}) == {"Gemm": 2 * 3 * 5 * 7}


def test_axes_that_are_not_fixed_take_the_lengths_that_are_given(flops: ModuleType) -> None:
    shape = helper.make_node("Shape", ["x"], ["s"])
    reshape = helper.make_node("Reshape", ["c", "s"], ["r"])
    first, last = helper.make_node("Conv", ["x", "w"], ["c"]), helper.make_node("Conv", ["r", "w"], ["y"])
    model = graph([first, shape, reshape, last], {"x": ["n", 4, "h", "w"]}, "y", w=(4, 4, 1, 1))
    assert flops.count(model, {"x": (2, 4, 6, 10)}) == {"Conv": 2 * 2 * (2 * 4 * 6 * 10) * 4}
    assert flops.count(model, {"x": (1, 4, 6, 10)}) == {"Conv": 2 * (2 * 4 * 6 * 10) * 4}


def test_what_costs_no_product_is_not_counted(flops: ModuleType) -> None:
    assert not flops.count(graph([helper.make_node("Relu", ["x"], ["y"])], {"x": [1, 3]}, "y"), {})


def test_shapes_that_stay_unknown_are_refused(flops: ModuleType) -> None:
    model = graph([helper.make_node("MatMul", ["x", "w"], ["y"])], {"x": ["n", 4]}, "y", w=(4, 4))
    with pytest.raises(ValueError, match="expected known shapes around MatMul"):
        flops.count(model, {})


def test_the_operations_of_a_body_are_not_left_out_in_silence(flops: ModuleType) -> None:
    bodies = [
        helper.make_graph(
            [helper.make_node("MatMul", ["x", "x"], [name])],
            name, [], [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4, 4])],
        )
        for name in ("a", "b")
    ]  # fmt: skip
    model = graph([helper.make_node("If", ["c"], ["y"], then_branch=bodies[0], else_branch=bodies[1])],
                  {"x": [4, 4]}, "y", c=())  # fmt: skip
    with pytest.raises(ValueError, match="found If"):
        flops.count(model, {})


# GFLOPs a picture as they are published: ultralytics' table for 640 x 640, which counts the transposed convolution four
# times (see flops.py), and open_clip's for ViT-B-32's image tower at 224 x 224.
@pytest.mark.parametrize(
    ("file", "shape", "published", "transposed"),
    [
        ("yolov8n-seg/yolov8n-seg.onnx", (1, 3, 640, 640), 12.6, 4),
        ("clip-vit-base-patch32/clip-vit-base-patch32.image.onnx", (1, 3, 224, 224), 8.82, 1),
    ],
)
def test_models_of_true_size_count_what_is_published(
    flops: ModuleType, file: str, shape: tuple[int, ...], published: float, transposed: int
) -> None:
    path = MODELS / file
    if not path.is_file():
        pytest.skip(f"not exported: {path}")
    name = onnx.load(str(path), load_external_data=False).graph.input[0].name
    counted = flops.count(path, {name: shape})
    total = counted.total() + (transposed - 1) * counted["ConvTranspose"]
    assert total / 1e9 == pytest.approx(published, rel=0.02)
