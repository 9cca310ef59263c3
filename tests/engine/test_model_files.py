"""Test model files: metadata without the graph, specs of both origins, and files that are no models."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from fastsam_engine import find_graph, read_spec
from fastsam_engine.errors import ModelFileError, ModelNotFoundError, SpecVersionError
from fastsam_engine.spec.model_spec import METADATA_KEY
from fastsam_engine.spec.onnx_metadata import read_metadata
from support import colour_models
from support.typed import image_input
from support.ultralytics_metadata import ULTRALYTICS


def test_metadata_equals_what_the_onnx_package_reads(home: Path) -> None:
    path = find_graph("colours")
    expected = {entry.key: entry.value for entry in onnx.load(str(path)).metadata_props}
    assert read_metadata(path) == expected
    assert METADATA_KEY in expected


def test_every_truncation_is_noticed(home: Path, tmp_path: Path) -> None:
    data = find_graph("colours").read_bytes()
    cut = tmp_path / "cut.onnx"
    for length in range(0, len(data), max(len(data) // 97, 1)):
        cut.write_bytes(data[:length])
        with pytest.raises(ModelFileError) as caught:
            read_spec(cut)
        assert str(cut) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"hello, world\n", b"\x00" * 64, b"\xff" * 64, b"<html></html>", b"\x08\x0a"])
def test_what_is_no_onnx_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match="expected an ONNX model"):
        read_spec(path)


def test_a_file_without_any_spec_is_refused(tmp_path: Path) -> None:
    path = colour_models.save(colour_models.image_tower(), tmp_path / "bare.onnx", None)
    with pytest.raises(ModelFileError, match="expected a spec in the metadata"):
        read_spec(path)


def test_another_schema_version_is_refused(tmp_path: Path) -> None:
    text = colour_models.segmenter_spec().to_json().replace('"schema_version": 1', '"schema_version": 2')
    path = colour_models.save(colour_models.segmenter_graph(), tmp_path / "new.onnx", None, {METADATA_KEY: text})
    with pytest.raises(SpecVersionError, match="expected a spec of schema version 1, found 2"):
        read_spec(path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema_version": 1}'])
def test_a_spec_that_cannot_be_read_is_refused(tmp_path: Path, text: str) -> None:
    path = colour_models.save(colour_models.segmenter_graph(), tmp_path / "bad.onnx", None, {METADATA_KEY: text})
    with pytest.raises(ModelFileError):
        read_spec(path)


def test_a_file_of_ultralytics_own_export_is_read(tmp_path: Path) -> None:
    path = colour_models.save(colour_models.segmenter_graph(), tmp_path / "own.onnx", None, ULTRALYTICS)
    spec = read_spec(path)
    image = image_input(spec)
    assert spec.class_names == ("red", "green", "blue")
    assert (image.height, image.width, image.size_multiple) == (256, 256, 32)
    assert spec.defaults == {"conf": 0.25, "iou": 0.7, "max_segments": 300}
    lies = {**ULTRALYTICS, "args": "{'dynamic': False, 'nms': True, 'half': True}", "batch": "7"}
    spec = read_spec(colour_models.save(colour_models.segmenter_graph(), tmp_path / "graph.onnx", None, lies))
    image = image_input(spec)
    assert (image.size_multiple, image.batch, image.dtype) == (32, (1, None), "float32")
    assert spec.family == "yolo-seg"


@pytest.mark.parametrize(
    ("arguments", "precision"),
    [
        ({}, "fp32"), ({"half": False, "int8": False}, "fp32"), ({"half": True}, "fp16"), ({"int8": True}, "int8"),
        ({"quantize": None}, "fp32"), ({"quantize": 32}, "fp32"), ({"quantize": 16}, "fp16"), ({"quantize": 8}, "int8"),
        ({"quantize": "w8a16"}, "int8"),
    ],
)  # fmt: skip
def test_the_precision_is_that_of_old_or_new_arguments(tmp_path: Path, arguments: object, precision: str) -> None:
    metadata = {**ULTRALYTICS, "args": str(arguments)}
    path = colour_models.save(colour_models.segmenter_graph(), tmp_path / "own.onnx", None, metadata)
    assert read_spec(path).precision == precision


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"task": "detect"}, "expected a segmenter, found an ultralytics model of task 'detect'"),
        ({"channels": "1"}, "expected 3 colour channels"),
        ({"names": "__import__('os').abort()"}, "expected a literal under 'names'"),
        ({"imgsz": "640"}, "of another shape"),
    ],
)
def test_what_ultralytics_metadata_cannot_tell_is_refused(tmp_path: Path, change: dict[str, str], found: str) -> None:
    path = colour_models.save(colour_models.segmenter_graph(), tmp_path / "own.onnx", None, {**ULTRALYTICS, **change})
    with pytest.raises(ModelFileError) as caught:
        read_spec(path)
    assert found in str(caught.value)


def test_a_model_is_named_by_file_folder_or_short_name(home: Path) -> None:
    path = home / "models" / "colours" / "colours.onnx"
    assert find_graph(path) == find_graph(path.parent) == find_graph("colours") == find_graph("Colours") == path
    assert find_graph("clip-colours", "image").name == "clip-colours.image.onnx"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("colors", "did you mean colours"),
        ("yolov8n-sge", "did you mean yolov8n-seg"),
        ("yolov8n-seg", "fastsam-trt export yolov8n-seg"),
        ("FastSAM-s", "fastsam-trt export FastSAM-s"),
        ("qqq", "fastsam-trt doctor"),
        ("", "fastsam-trt doctor"),
        ("..", "fastsam-trt doctor"),
    ],
)
def test_an_unknown_model_names_what_is_near(home: Path, name: str, hint: str) -> None:
    with pytest.raises(ModelNotFoundError) as caught:
        find_graph(name)
    assert hint in str(caught.value)


def test_a_folder_without_the_graph_says_what_it_holds(home: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"expected clip-colours\.onnx, found clip-colours\.image\.onnx"):
        find_graph("clip-colours")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ModelFileError, match="found no ONNX file"):
        find_graph(empty)
