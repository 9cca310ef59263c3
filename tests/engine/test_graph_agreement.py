"""Test that ONNX files that do not match their spec are refused on opening, with a way to fix them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from fastsam_engine import find_graph, open_session, read_spec
from fastsam_engine.errors import ClassNamesError, ModelFileError
from fastsam_engine.graph.onnx_graph import Tensor, read_graph
from fastsam_trt import Pipeline
from fastsam_trt.cli.main import main
from support import colour_models
from support.typed import image_input
from support.ultralytics_metadata import ULTRALYTICS

NAMES = ("red", "green", "blue")


def _saved(path: Path, change: Callable[[onnx.ModelProto], Any] = lambda _: None, **metadata: str) -> Path:
    """The colour model as ultralytics would write it, changed."""
    colour_models.save(colour_models.segmenter_graph(), path, None, {**ULTRALYTICS, **metadata})
    model = onnx.load(str(path))
    change(model)
    onnx.save(model, str(path))
    return path


def _axes(value: onnx.ValueInfoProto, *axes: int | str) -> None:
    value.CopyFrom(helper.make_tensor_value_info(value.name, value.type.tensor_type.elem_type, axes))


def _frame() -> np.ndarray:
    frame = np.full((256, 256, 3), 128, np.uint8)
    frame[96:160, 96:160] = (0, 0, 255)
    return frame


def _renamed(model: onnx.ModelProto) -> None:
    """Other names everywhere, outputs the other way round, and one more."""
    graph = model.graph
    other = {"images": "x", "output0": "boxes", "output1": "protos"}
    for node in graph.node:
        for names in (node.input, node.output):
            for i, name in enumerate(names):
                names[i] = other.get(name, name)
    for value in (*graph.input, *graph.output):
        value.name = other[value.name]
    first, second = (helper.make_tensor_value_info(v.name, 1, ["n", 35 + 4, "a"]) for v in graph.output)
    _axes(second, "n", 32, "mh", "mw")
    del graph.output[:]
    graph.output.extend([helper.make_tensor_value_info("purity", 1, ["n", 3, "h", "w"]), second, first])


def test_the_walk_reads_what_the_onnx_package_reads(home: Path) -> None:
    path = find_graph("colours")
    graph = read_graph(path)
    assert graph.inputs == {"images": Tensor("float32", ("n", 3, "h", "w"))}
    assert graph.outputs["output0"] == Tensor("float32", ("n", 39, "anchors"))
    assert list(graph.outputs) == ["output0", "output1"]
    assert graph.external == ()


def test_weights_that_are_listed_as_inputs_are_none(tmp_path: Path) -> None:
    def listed(model: onnx.ModelProto) -> None:
        model.graph.input.append(helper.make_tensor_value_info("mix", TensorProto.FLOAT, [3, 3, 1, 1]))

    path = _saved(tmp_path / "old.onnx", listed)
    assert list(read_graph(path).inputs) == ["images"]
    assert read_spec(path).input_names == ("images",)


def test_a_negative_length_is_one_that_is_not_fixed(tmp_path: Path) -> None:
    def free(model: onnx.ModelProto) -> None:
        for value in (*model.graph.input, *model.graph.output):
            for axis in value.type.tensor_type.shape.dim:
                if axis.dim_param:
                    axis.dim_value = -1

    path = _saved(tmp_path / "free.onnx", free)
    assert read_graph(path).inputs["images"].axes == ("", 3, "", "")
    found = Pipeline(path, backend="onnxruntime")(_frame())
    assert found.labels == Pipeline(_saved(tmp_path / "plain.onnx"), backend="onnxruntime")(_frame()).labels != []


def test_outputs_are_known_by_their_shapes(tmp_path: Path, backend: str) -> None:
    plain, renamed = (Pipeline(_saved(tmp_path / name, change), backend=backend, conf=0.5, precision="fp32")
                      for name, change in (("plain.onnx", lambda _: None), ("renamed.onnx", _renamed)))  # fmt: skip
    a, b = plain(_frame()), renamed(_frame())
    assert len(a) > 0
    assert b.labels == a.labels
    np.testing.assert_array_equal(a.boxes, b.boxes)
    np.testing.assert_array_equal(a.masks(), b.masks())


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda m: _axes(m.graph.input[0], 4, 3, 256, 256), "found a batch of 4; export it again with"),
        (lambda m: _axes(m.graph.input[0], 1, 256, 256, 3), "expected images (n, 3, h, w), found an input (1, 256"),
        (lambda m: _axes(m.graph.input[0], 1, 1, 256, 256), "found an input (1, 1, 256, 256)"),
        (lambda m: m.graph.input.append(helper.make_tensor_value_info("y", 1, [1])), "one input, found images, y"),
        (lambda m: m.graph.ClearField("input"), "expected one input, found none"),
        (lambda m: setattr(m.graph.input[0].type.tensor_type, "elem_type", TensorProto.UINT8), "found uint8"),
        (lambda m: m.graph.output.pop(), "expected detections and mask prototypes"),
        (lambda m: m.graph.ClearField("output"), "found no output"),
        (lambda m: _axes(m.graph.output[0], 1, 5, 99), "expected detections (n, 4 + classes + 32, anchors)"),
        (lambda m: _axes(m.graph.output[0], "n", 116, "a"), "expected 80 class names, found 3; give a name for every"),
    ],
)  # fmt: skip
def test_a_graph_that_cannot_run_is_refused_at_opening(
    tmp_path: Path, change: Callable[[onnx.ModelProto], Any], found: str
) -> None:
    path = _saved(tmp_path / "bad.onnx", change)
    with pytest.raises(ModelFileError) as caught:
        Pipeline(path)
    assert found in str(caught.value)


@pytest.mark.parametrize("size", [(256, 256), (96, 256)])
def test_a_fixed_size_is_the_graphs(tmp_path: Path, size: tuple[int, int]) -> None:
    image = image_input(read_spec(_saved(tmp_path / "fixed.onnx", lambda m: _axes(m.graph.input[0], 1, 3, *size))))
    assert (image.height, image.width) == size
    assert (image.size_multiple, image.batch) == (None, (1, 1))


@pytest.mark.parametrize("args", [{}, {"args": "{'nms': True}"}, {"args": "{'nms': False}"}])
def test_nms_in_the_graph_is_seen_from_its_shape(tmp_path: Path, args: dict[str, str]) -> None:
    def nms(model: onnx.ModelProto) -> None:
        _axes(model.graph.output[0], 1, 300, 38)

    path = _saved(tmp_path / "nms.onnx", nms, **args)
    spec = read_spec(path)
    assert spec.family == "yolo-end2end"
    assert spec.outputs[0].layout == "N K 6+32"
    assert spec.class_names == NAMES


SPEC = colour_models.segmenter_spec()
IMAGE = image_input(SPEC)
SMALL = dataclasses.replace(IMAGE, size_multiple=None)
LIES = {
    "input name": (dataclasses.replace(SPEC, input=dataclasses.replace(IMAGE, name="x")), "its spec names x"),
    "dtype": (
        dataclasses.replace(SPEC, input=dataclasses.replace(IMAGE, dtype="float16")),
        "declares float16, found",
    ),
    "layout": (dataclasses.replace(SPEC, input=dataclasses.replace(IMAGE, layout="NHWC")), "input 'images'"),
    "output name": (dataclasses.replace(SPEC, outputs=(dataclasses.replace(SPEC.outputs[0], name="o"),)), "names o"),
    "classes": (
        dataclasses.replace(SPEC, outputs=(dataclasses.replace(SPEC.outputs[0], layout="N 4+9+32 A"),)),
        "expected 9",
    ),
    "rank": (dataclasses.replace(SPEC, outputs=(dataclasses.replace(SPEC.outputs[1], layout="N 32 X"),)), "3 axes"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_spec_that_lies_is_refused_on_every_backend(tmp_path: Path, backend: str, lie: str) -> None:
    spec, found = LIES[lie]
    path = colour_models.save(colour_models.segmenter_graph(), tmp_path / "lie.onnx", spec)
    with pytest.raises(ModelFileError) as caught:
        open_session(path, backend)
    assert found in str(caught.value)


@pytest.mark.parametrize(("batch", "size"), [(1, (64, 64)), (4, (256, 256)), (1, ("h", "w"))])
def test_a_spec_of_another_size_or_batch_is_refused(tmp_path: Path, batch: int, size: tuple[int | str, ...]) -> None:
    path = colour_models.save(colour_models.segmenter_graph(), tmp_path / "m.onnx", None)
    model = onnx.load(str(path))
    _axes(model.graph.input[0], batch, 3, *size)
    spec = dataclasses.replace(
        SPEC, input=dataclasses.replace(SMALL, batch=(1, None) if size == ("h", "w") else (1, 1))
    )
    helper.set_model_props(model, {"fastsam_trt.spec": spec.to_json()})
    onnx.save(model, str(path))
    with pytest.raises(ModelFileError, match=r"input 'images': its spec declares .*, found .* in the graph"):
        read_spec(path)


def test_deep_metadata_is_refused(tmp_path: Path) -> None:
    deep = "[" * 100_000 + "]" * 100_000
    for metadata in ({"fastsam_trt.spec": deep}, {**ULTRALYTICS, "names": deep}):
        path = colour_models.save(colour_models.segmenter_graph(), tmp_path / "deep.onnx", None, metadata)
        with pytest.raises(ModelFileError):
            read_spec(path)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("best.pt", "found a PyTorch checkpoint; export it with: fastsam-trt export NAME --weights"),
        ("YOLOv8n-seg.PT", "fastsam-trt export yolov8n-seg --weights"),
        ("best.pth", "a PyTorch checkpoint"),
        ("model.safetensors", "fastsam-trt export NAME --weights"),
        ("best.tflite", "a TFLite model; export the checkpoint"),
        ("best.torchscript", "a TorchScript model"),
        ("best.xml", "OpenVINO's format"),
    ],
)
def test_another_tools_model_is_refused_with_the_way_to_export_it(
    tmp_path: Path, name: str, found: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_bytes(b"PK\x03\x04")
    with pytest.raises(ModelFileError, match="expected an ONNX file or a plan") as caught:
        Pipeline(tmp_path / name)
    assert found in str(caught.value)
    assert main(["run", "--video", "demo", "--model", str(tmp_path / name)]) == 2
    assert found in capsys.readouterr().err
    folder = tmp_path / "best_other_model"
    folder.mkdir()
    (tmp_path / name).rename(folder / name)
    with pytest.raises(ModelFileError, match=r"fastsam-trt export (NAME|yolo)"):
        find_graph(folder)


@pytest.mark.parametrize("names", [NAMES, ["a", "b", "c"]])
def test_names_serve_a_file_without_metadata(tmp_path: Path, names: tuple[str, ...], backend: str) -> None:
    path = colour_models.save(colour_models.segmenter_graph(), tmp_path / "bare.onnx", None)
    with pytest.raises(ModelFileError, match="names its 3 classes, found none; give their names with --names FILE"):
        Pipeline(path, backend=backend)
    result = Pipeline(path, backend=backend, names=names, conf=0.5)(_frame())
    assert set(result.labels) == {names[0]}
    with pytest.raises(ClassNamesError, match="expected 3 class names, found 2"):
        Pipeline(path, backend=backend, names=names[:2])


def test_names_replace_those_of_a_file_that_has_them(home: Path, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("rot\ngrün\nblau\n", encoding="utf-8")
    pipe = Pipeline("colours", names=tmp_path / "names.txt", prompts=["rot"], selector="labels")
    assert pipe(_frame()).labels[0] == "rot"
    with pytest.raises(ClassNamesError):
        Pipeline("colours", names=["one"])


def _external(folder: Path) -> Path:
    folder.mkdir(parents=True)
    path = colour_models.save(colour_models.segmenter_graph(), folder / "m.onnx", SPEC)
    onnx.save(
        onnx.load(str(path)), str(path), save_as_external_data=True, location="m.onnx.data", size_threshold=100,
        convert_attribute=False,
    )  # fmt: skip
    return path


@pytest.mark.parametrize("kind", ["plain", "hub", "model linked", "weights linked", "folder linked"])
def test_weights_of_their_own_open_behind_links(tmp_path: Path, backend: str, kind: str) -> None:
    path = _external(tmp_path / "real")
    assert read_graph(path).external == ("m.onnx.data",)
    weights, there = path.with_name("m.onnx.data"), tmp_path / "snapshots" / "m.onnx"
    if kind == "folder linked":
        there.parent.symlink_to(path.parent)
    else:
        there.parent.mkdir()
    if kind == "plain":
        there = path
    if kind == "hub":
        path.rename(path.with_name("aaaa"))
        weights.rename(path.with_name("bbbb"))
        there.symlink_to(os.path.relpath(path.with_name("aaaa"), there.parent))
        there.with_name("m.onnx.data").symlink_to(os.path.relpath(path.with_name("bbbb"), there.parent))
    if kind == "model linked":
        there.symlink_to(path)
        weights.rename(there.with_name("m.onnx.data"))
    if kind == "weights linked":
        path.rename(there)
        there.with_name("m.onnx.data").symlink_to(weights)
    before = sorted(tmp_path.rglob("*"))
    result = Pipeline(there, backend=backend, conf=0.5)(_frame())
    assert set(result.labels) == {"red"}
    assert sorted(tmp_path.rglob("*")) == before


def test_weights_that_are_missing_or_elsewhere_are_named(tmp_path: Path) -> None:
    path = _external(tmp_path / "real")
    path.with_name("m.onnx.data").rename(tmp_path / "away")
    with pytest.raises(ModelFileError, match=r"expected its weights in m\.onnx\.data beside it, found no such file"):
        read_spec(path)
    model = onnx.load(str(path), load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = "../away"
    onnx.save(model, str(path))
    with pytest.raises(ModelFileError, match=r"expected its weights beside it, found them in \.\./away"):
        read_spec(path)
