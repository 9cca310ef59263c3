"""Test that the graphs of a model that was cut into parts are checked: missing, of another export, or mixed up."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from fastsam_engine import read_spec
from fastsam_engine.errors import ModelFileError
from fastsam_engine.spec.family_parts import check_part
from fastsam_engine.spec.model_spec import ModelSpec
from fastsam_engine.store.model_store import sibling_graph
from support import colour_models, cut_models

EXPORT = "ab" * 32


def _model(folder: Path, **change: object) -> tuple[Path, Path]:
    """The trunk and the heads of a model; `change`: fields of the heads' spec."""
    folder.mkdir(exist_ok=True)
    trunk = cut_models.save_trunk(folder / "cut.onnx", export_id=EXPORT)
    heads = cut_models.save_heads(folder / "cut.heads.onnx", **{"export_id": EXPORT, **change})
    assert heads == sibling_graph(trunk, "heads")
    return trunk, heads


def _check(trunk: Path, part: Path) -> None:
    check_part(trunk, read_spec(trunk), part, read_spec(part))


def test_parts_of_one_export_fit(tmp_path: Path) -> None:
    _check(*_model(tmp_path))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"export_id": "cd" * 32}, r"cut\.heads\.onnx: expected a part of the same export as cut\.onnx \(abababababab"),
        ({"export_id": ""}, r"cut\.heads\.onnx: expected an export_id in its spec, found an older spec"),
        ({"precision": "fp16"}, r"cut\.heads\.onnx: expected fp32, as cut\.onnx is, found fp16"),
        ({"family": "other"}, r"expected heads of the family yolo-seg-sparse, .* found heads of the family other"),
        ({"task": "decode"}, r"expected heads of .*, found decode of the family yolo-seg-sparse"),
    ],
)
def test_a_part_that_does_not_belong_is_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    with pytest.raises(ModelFileError, match=message) as caught:
        _check(*_model(tmp_path, **change))
    assert "\n" not in str(caught.value)
    assert "copy all files of one export, or export it again with: fastsam-trt export cut" in str(caught.value)


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    trunk, heads = _model(tmp_path)
    spec = read_spec(heads)
    heads.unlink()
    with pytest.raises(ModelFileError, match=r"cut\.onnx: expected cut\.heads\.onnx beside it, found no such file"):
        check_part(trunk, read_spec(trunk), heads, spec)


def test_an_older_trunk_is_refused(tmp_path: Path) -> None:
    trunk, heads = _model(tmp_path)
    cut_models.save_trunk(trunk, export_id="")
    with pytest.raises(ModelFileError, match=r"cut\.onnx: expected an export_id in its spec"):
        _check(trunk, heads)


@pytest.mark.parametrize("task", ["preprocess", "crops", "decode"])
def test_helper_graphs_are_told_from_parts_of_a_network(task: str) -> None:
    heads = cut_models.heads_spec()
    assert not heads.is_helper
    assert not colour_models.segmenter_spec().is_helper
    helper: ModelSpec = dataclasses.replace(heads, task=task)  # type: ignore[arg-type]
    assert helper.is_helper
