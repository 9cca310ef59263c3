"""Writing a spec into an ONNX file: everything else stays, byte by byte."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fastsam_engine.errors import ModelFileError
from fastsam_engine.spec.model_spec import METADATA_KEY
from fastsam_engine.spec.onnx_metadata import read_metadata
from fastsam_engine.spec_reader import read_spec
from fastsam_export.onnx_file import write_spec
from support import colour_models


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    spec = colour_models.segmenter_spec()
    return colour_models.save(colour_models.segmenter_graph(), tmp_path / "a.onnx", spec, {"author": "Ümit", "": "x"})


def test_a_spec_replaces_an_earlier_one_and_nothing_else(graph: Path) -> None:
    before = onnx.load(str(graph))
    names = tuple(f"class {i} " + "x" * 200 for i in range(3))
    spec = dataclasses.replace(colour_models.segmenter_spec(), class_names=names)
    for _ in range(2):
        write_spec(graph, spec)
        assert read_spec(graph) == spec
    after = onnx.load(str(graph))
    assert after.graph == before.graph
    assert (after.opset_import, after.ir_version) == (before.opset_import, before.ir_version)
    assert {entry.key: entry.value for entry in after.metadata_props} == {
        "author": "Ümit", "": "x", METADATA_KEY: spec.to_json()
    }  # fmt: skip
    assert [path.name for path in graph.parent.iterdir() if path.is_file()] == ["a.onnx"]


def test_a_graph_can_come_from_another_file(graph: Path, tmp_path: Path) -> None:
    before = graph.read_bytes()
    spec = dataclasses.replace(colour_models.segmenter_spec(), name="other")
    write_spec(tmp_path / "b.onnx", spec, source=graph)
    assert graph.read_bytes() == before
    assert read_spec(tmp_path / "b.onnx") == spec
    assert read_metadata(tmp_path / "b.onnx")["author"] == "Ümit"


def test_external_weights_stay_outside(tmp_path: Path) -> None:
    made = helper.make_graph(
        [helper.make_node("MatMul", ["images", "weights"], ["rows"])], "graph",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 64])],
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["n", 64])],
        [numpy_helper.from_array(np.eye(64, dtype=np.float32), "weights")],
    )  # fmt: skip
    path = tmp_path / "a.onnx"
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)])
    onnx.save(model, str(path), save_as_external_data=True, location="a.data", size_threshold=0)
    weights = (tmp_path / "a.data").read_bytes()
    write_spec(path, colour_models.segmenter_spec())
    assert path.stat().st_size < 4000
    assert (tmp_path / "a.data").read_bytes() == weights


def test_what_is_no_onnx_file_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(b"<html>")
    with pytest.raises(ModelFileError, match="cut short or no ONNX"):
        write_spec(path, colour_models.segmenter_spec())
    assert path.read_bytes() == b"<html>"
    assert [each.name for each in tmp_path.iterdir() if each.is_file()] == ["a.onnx"]
