"""Adapting graphs: pruning, order, casts, constant inputs, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fastsam_engine.errors import ModelFileError
from fastsam_engine.graph.onnx_graph import read_graph
from fastsam_engine.opener import open_session
from fastsam_engine.spec.model_input import ImageInput
from fastsam_engine.spec.model_spec import ModelSpec, Output
from fastsam_export.adopt.ready_graph import ReadyGraph
from fastsam_export.errors import AdoptionError

_FLOAT, _HALF, _INT32 = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT32
_IMAGE = ImageInput("x", 2, 2, None, "stretch", "bilinear", False, 0, "RGB", 1.0, (0.0,) * 3, (1.0,) * 3)


def _save(
    path: Path, nodes: list[Any], inputs: list[Any], outputs: list[Any], constants: Any = (), opset: int = 14
) -> Path:
    graph = helper.make_graph(
        nodes, "graph",
        [helper.make_tensor_value_info(*each) for each in inputs],
        [helper.make_tensor_value_info(*each) for each in outputs],
        [numpy_helper.from_array(value, name) for name, value in dict(constants).items()],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), str(path))
    return path


def _spec(*outputs: str) -> ModelSpec:
    layouts = tuple(Output(name, "made", "N D") for name in outputs)
    return ModelSpec("made", "made", "embed-image", _IMAGE, layouts, defaults={"logit_scale": 1.0})


def _pooled(path: Path, element: int = _FLOAT, opset: int = 14, **changes: Any) -> Path:
    """The mean of each channel, in any order of nodes."""
    node = helper.make_node
    nodes = [
        node("Flatten", ["pooled"], ["rows"]),
        node("GlobalAveragePool", ["x"], ["pooled"]),
        node("Relu", ["x"], ["unused"]),
    ]
    return _save(
        path, nodes, [("x", element, ["n", 3, "h", "w"])],
        [("unused", element, None), ("rows", element, ["n", 3])], opset=opset, **changes,
    )  # fmt: skip


@pytest.mark.parametrize("element", [_FLOAT, _HALF])
@pytest.mark.parametrize("opset", [11, 12, 13, 18])
def test_embeddings_get_length_one_in_float32(tmp_path: Path, backend: str, element: int, opset: int) -> None:
    graph = ReadyGraph(_pooled(tmp_path / "a.onnx", element, opset))
    assert not graph.is_in_order
    assert graph.keep(("rows",)) == ("x",)
    graph.set_input("x", "float32", ("batch", 3, 2, 2))
    graph.rename_output("rows", "embeds")
    graph.normalise("embeds")
    graph.set_output("embeds", ("batch", 3))
    graph.save(tmp_path / "b.onnx", _spec("embeds"))
    ports = read_graph(tmp_path / "b.onnx")
    assert ports.inputs["x"].axes == ("batch", 3, 2, 2)
    assert {tensor.dtype for tensor in (*ports.inputs.values(), *ports.outputs.values())} == {"float32"}
    pictures = np.random.default_rng(0).normal(size=(2, 3, 2, 2)).astype(np.float32)
    with open_session(tmp_path / "b.onnx", backend, "cpu", "fp32") as session:
        found = session.run({"x": pictures})["embeds"]
    means = pictures.mean(axis=(2, 3))
    np.testing.assert_allclose(found, means / np.linalg.norm(means, axis=1, keepdims=True), atol=2e-3)
    assert [node.op_type for node in onnx.load(str(tmp_path / "b.onnx")).graph.node].count("Relu") == 0


def test_an_input_becomes_ones_of_the_others_batch(tmp_path: Path, backend: str) -> None:
    node = helper.make_node
    nodes = [
        node("Cast", ["mask"], ["seen"], to=_FLOAT),
        node("ReduceSum", ["seen", "axes"], ["count"], keepdims=1),
        node("GlobalAveragePool", ["x"], ["pooled"]),
        node("Flatten", ["pooled"], ["rows"]),
        node("Add", ["rows", "count"], ["sums"]),
    ]
    inputs = [("x", _FLOAT, ["n", 3, 2, 2]), ("mask", _INT32, ["n", 5])]
    path = _save(tmp_path / "a.onnx", nodes, inputs, [("sums", _FLOAT, ["n", 3])], {"axes": np.array([1], np.int64)})
    graph = ReadyGraph(path)
    assert graph.keep(("sums",)) == ("x", "mask")
    graph.fill_with_ones("mask", (5,), like="x")
    graph.save(tmp_path / "b.onnx", _spec("sums"))
    with open_session(tmp_path / "b.onnx", backend, "cpu", "fp32") as session:
        assert session.spec.input_names == ("x",)
        np.testing.assert_allclose(session.run({"x": np.zeros((2, 3, 2, 2), np.float32)})["sums"], np.full((2, 3), 5))


def test_what_a_body_reads_is_kept(tmp_path: Path) -> None:
    """A node such as If reads tensors of the outer graph without naming them among its inputs."""
    node, port = helper.make_node, helper.make_tensor_value_info
    bodies = [
        helper.make_graph([node(operator, ["pooled"], [operator])], operator, [], [port(operator, _FLOAT, None)])
        for operator in ("Neg", "Abs")
    ]
    nodes = [
        node("GlobalAveragePool", ["x"], ["pooled"]),
        node("If", ["choice"], ["chosen"], then_branch=bodies[0], else_branch=bodies[1]),
        node("Flatten", ["chosen"], ["rows"]),
    ]
    path = _save(
        tmp_path / "a.onnx", nodes, [("x", _FLOAT, ["n", 3, 2, 2])], [("rows", _FLOAT, ["n", 3])],
        {"choice": np.array(True), "unused": np.zeros(9, np.float32)},
    )  # fmt: skip
    graph = ReadyGraph(path)
    assert graph.keep(("rows",)) == ("x",)
    graph.save(tmp_path / "b.onnx", _spec("rows"))
    kept = onnx.load(str(tmp_path / "b.onnx")).graph
    assert [each.name for each in kept.initializer] == ["choice"]
    with open_session(tmp_path / "b.onnx", "onnxruntime", "cpu") as session:
        found = session.run({"x": np.ones((1, 3, 2, 2), np.float32)})["rows"]
    np.testing.assert_allclose(found, -np.ones((1, 3)))


def test_graphs_that_cannot_be_adapted_are_refused(tmp_path: Path) -> None:
    foreign = [helper.make_node("FusedMatMul", ["x", "x"], ["y"], domain="com.microsoft")]
    path = _save(tmp_path / "a.onnx", foreign, [("x", _FLOAT, [2, 2])], [("y", _FLOAT, [2, 2])])
    with pytest.raises(AdoptionError, match=r"expected ONNX's own operators, found com.microsoft.FusedMatMul"):
        ReadyGraph(path)
    with pytest.raises(AdoptionError, match="expected opset 11 or newer, found 9"):
        ReadyGraph(_pooled(tmp_path / "old.onnx", opset=9))
    circle = [helper.make_node("Relu", ["b"], ["a"]), helper.make_node("Relu", ["a"], ["b"])]
    path = _save(tmp_path / "b.onnx", circle, [("x", _FLOAT, [2])], [("b", _FLOAT, [2])])
    with pytest.raises(AdoptionError, match="expected a graph without cycles"):
        ReadyGraph(path).keep(("b",))


def test_external_weights_are_read_or_missed_by_name(tmp_path: Path) -> None:
    nodes = [helper.make_node("Flatten", ["x"], ["flat"]), helper.make_node("MatMul", ["flat", "weights"], ["rows"])]
    weights = np.arange(36, dtype=np.float32).reshape(12, 3)
    path = _save(
        tmp_path / "a.onnx", nodes, [("x", _FLOAT, ["n", 3, 2, 2])], [("rows", _FLOAT, ["n", 3])], {"weights": weights}
    )
    onnx.save(onnx.load(str(path)), str(path), save_as_external_data=True, location="a.onnx_data", size_threshold=0)
    cache = tmp_path / "cache"
    cache.mkdir()
    for name in ("a.onnx", "a.onnx_data"):  # as a hub's cache has them
        (tmp_path / name).rename(tmp_path / f"blob-{name}")
        (cache / name).symlink_to(tmp_path / f"blob-{name}")
    graph = ReadyGraph(cache / "a.onnx")
    graph.keep(("rows",))
    graph.save(tmp_path / "b.onnx", _spec("rows"))
    assert read_graph(tmp_path / "b.onnx").external == ()
    with open_session(tmp_path / "b.onnx", "onnxruntime", "cpu") as session:
        ones = np.ones((1, 3, 2, 2), np.float32)
        np.testing.assert_allclose(session.run({"x": ones})["rows"], [weights.sum(axis=0)])
    whole = (cache / "a.onnx_data").read_bytes()
    (cache / "a.onnx_data").write_bytes(whole[:-1])
    with pytest.raises(
        ModelFileError, match="expected 'weights' from byte 0, 144 bytes, found 143 bytes; download it again"
    ):
        ReadyGraph(cache / "a.onnx")
    (cache / "a.onnx_data").unlink()
    with pytest.raises(ModelFileError, match=r"expected its weights in a\.onnx_data beside it, found no such file"):
        ReadyGraph(cache / "a.onnx")
    for outside in ("../a.onnx_data", "/etc/passwd"):
        model = onnx.load(str(cache / "a.onnx"), load_external_data=False)
        model.graph.initializer[0].external_data[0].value = outside
        (tmp_path / "c.onnx").write_bytes(model.SerializeToString())
        with pytest.raises(AdoptionError, match=f"expected its weights beside it, found them in {outside}"):
            ReadyGraph(tmp_path / "c.onnx")
