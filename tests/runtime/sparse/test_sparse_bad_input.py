"""Parts that are missing or do not fit, wrong requests, and graphs that were never cut."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from fastsam_engine import read_spec
from fastsam_engine.errors import FastsamError, ModelFileError
from fastsam_engine.spec.model_spec import METADATA_KEY
from fastsam_trt import Pipeline
from fastsam_trt.cli.main import main
from fastsam_trt.errors import OptionError
from fastsam_trt.segmentation.segmenter import Segmenter
from support import cut_yolo
from support.colour_models import save, scene, segmenter_graph
from support.sparse_models import Model, frame
from support.ultralytics_metadata import ULTRALYTICS


@pytest.fixture
def copied(model: Model, tmp_path: Path) -> Path:
    """A copy of a cut model, to damage."""
    for part in cut_yolo.PARTS:
        shutil.copy(model.cut.with_suffix(f"{part}.onnx"), tmp_path)
    return tmp_path / model.cut.name


def _restate(path: Path, **change: Any) -> None:
    """Change fields of a file's spec."""
    graph = onnx.load(str(path))
    onnx.helper.set_model_props(graph, {METADATA_KEY: dataclasses.replace(read_spec(path), **change).to_json()})
    onnx.save(graph, str(path))


def _command_fails(capsys: pytest.CaptureFixture[str], code: int, *arguments: object) -> str:
    assert main([str(each) for each in arguments]) == code
    (line,) = [each for each in capsys.readouterr().err.splitlines() if "error: " in each]
    return line


@pytest.mark.parametrize("part", ["heads", "masks"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (None, "expected small.{part}.onnx beside it, found no such file"),
        ({"export_id": "cd" * 32}, "expected a part of the same export as small.onnx"),
        ({"export_id": ""}, "expected an export_id in its spec, found an older spec without one"),
        ({"precision": "fp16"}, "expected fp32, as small.onnx is, found fp16"),
        ({"family": "yolo-end2end-sparse"}, "expected {part} of the family yolo-seg-sparse, as small.onnx is"),
    ],
)
def test_a_part_that_does_not_fit(
    copied: Path, part: str, change: dict[str, Any] | None, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = copied.with_suffix(f".{part}.onnx")
    if change is None:
        file.unlink()
    else:
        _restate(file, **change)
    with pytest.raises(ModelFileError) as caught:
        Segmenter(copied, backend="onnxruntime")
    assert message.format(part=part) in str(caught.value)
    assert "export it again with: fastsam-trt export small" in str(caught.value)
    line = _command_fails(capsys, 2, "run", "--video", "demo", "--model", copied, "--prompt", "class 0")
    assert message.format(part=part) in line


def test_parts_of_two_exports(copied: Path, model_of: Any) -> None:
    shutil.copy(model_of("one-class").cut.with_suffix(".heads.onnx"), copied.with_suffix(".heads.onnx"))
    with pytest.raises(ModelFileError, match="expected a part of the same export as"):
        Segmenter(copied, backend="onnxruntime")


def test_a_trunk_of_an_older_spec(copied: Path) -> None:
    _restate(copied, export_id="")
    with pytest.raises(ModelFileError, match=r"small\.onnx: expected an export_id in its spec"):
        Segmenter(copied, backend="onnxruntime")


@pytest.mark.parametrize("path", ["dense", "cut"])
def test_an_unknown_compute(model: Model, path: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = getattr(model, path)
    with pytest.raises(OptionError, match="expected auto or sparse or dense, found 'most'"):
        Segmenter(file, compute="most")  # type: ignore[arg-type]
    assert "compute" in _command_fails(capsys, 2, "run", "--video", "demo", "--model", file, "--compute", "most")


def test_sparse_for_a_dense_model(model: Model, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(OptionError, match="expected auto or dense for small, a dense graph, found 'sparse'") as caught:
        Pipeline(model.dense, compute="sparse")
    assert "export it again with fastsam-trt export" in str(caught.value)
    line = _command_fails(capsys, 2, "run", "--video", "demo", "--model", model.dense, "--compute", "sparse")
    assert "expected auto or dense for small" in line
    assert len(Segmenter(model.dense, compute="dense")(frame(0, 96, 96)))


def test_a_heads_file_is_not_a_model(copied: Path) -> None:
    with pytest.raises(FastsamError, match="expected"):
        Segmenter(copied.with_suffix(".heads.onnx"), backend="onnxruntime")


@pytest.mark.parametrize("compute", ["auto", "dense"])
def test_earlier_dense_exports_keep_running(compute: Any) -> None:
    """They have no export_id, and prompts find all segments at once."""
    pipe = Pipeline("colours", prompts=["red"], compute=compute)
    assert not pipe.segmenter.session.spec.export_id
    result = pipe(scene(("red", 1, 1), ("green", 1, 5)))
    assert (len(result), len(result.segments)) == (1, 2)
    assert result._found[0].remainder is None


def test_an_export_of_ultralytics_keeps_running(tmp_path: Path) -> None:
    save(segmenter_graph(), tmp_path / "theirs.onnx", None, ULTRALYTICS)
    pipe = Pipeline(tmp_path / "theirs.onnx", prompts=["red"], conf=0.5)
    result = pipe(scene(("red", 1, 1), ("green", 1, 5)))
    assert (len(result), len(result.segments)) == (1, 2)
    assert np.count_nonzero(result.masks()) > 1000
