"""Exports that are cut into parts: small seeded networks of every kind, and those that can't be cut."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from fastsam_engine import open_session, read_spec
from fastsam_engine.errors import ModelNotFoundError
from fastsam_export import SplitError, cut_model, export_model
from fastsam_export.family import Exported
from fastsam_export.parity import synthetic_pictures
from fastsam_export.sparse.agreement import BOUNDS
from fastsam_export.sparse.split import split_dense
from fastsam_trt.bundled_models import locate
from fastsam_trt.cli.main import main
from support import dense_demo, small_yolo

if TYPE_CHECKING:
    import torch

pytestmark = pytest.mark.usefixtures("export_extra")

SIZE = (128, 192)  # height, width, px
FILES = [f"mine{part}.onnx" for part in (".decode", ".heads", ".masks", "", ".preprocess")]


def _save(config: str, classes: dict[int, str], path: Path) -> None:
    if config == "26":
        small_yolo.save_yolo26(path, classes)
    else:
        small_yolo.save_yolo(path, config, classes)


@pytest.mark.parametrize(
    ("config", "classes", "strides"),
    [
        ("v8/yolov8-seg", small_yolo.CLASSES, (8, 16, 32)),
        ("v8/yolov8-seg", {0: "object"}, (8, 16, 32)),
        ("v8/yolov8-seg-p6", small_yolo.CLASSES, (8, 16, 32, 64)),
        ("11/yolo11-seg", small_yolo.CLASSES, (8, 16, 32)),
        ("26", small_yolo.CLASSES, (8, 16, 32)),
    ],
)
def test_an_export_is_cut_and_its_parts_compute_what_the_dense_graph_does(
    config: str, classes: dict[int, str], strides: tuple[int, ...], tmp_path: Path
) -> None:
    _save(config, classes, tmp_path / "small.pt")
    export_model("mine", weights=tmp_path / "small.pt", imgsz=SIZE, out=tmp_path / "dense", dense=True)
    made = export_model("mine", weights=tmp_path / "small.pt", imgsz=SIZE, out=tmp_path / "parts")
    assert (
        sorted(file.path.name for file in made) == sorted(each.name for each in (tmp_path / "parts").iterdir()) == FILES
    )
    assert not any(file.kept_whole for file in made)
    dense, trunk, heads, masks = (
        read_spec(tmp_path / path)
        for path in ("dense/mine.onnx", "parts/mine.onnx", "parts/mine.heads.onnx", "parts/mine.masks.onnx")
    )
    assert not dense.export_id
    for spec in (trunk, heads, masks):
        assert spec.family == f"{dense.family}-sparse"
        assert (spec.name, spec.precision, spec.class_names) == (dense.name, dense.precision, dense.class_names)
        assert (spec.class_agnostic, spec.source.model_id) == (dense.class_agnostic, dense.source.model_id)
        assert spec.defaults.items() >= dense.defaults.items()
        assert spec.export_id == trunk.export_id
        assert spec.parity is not None
        assert dense.parity is not None
        assert set(spec.parity.worst) == {*dense.parity.worst, *BOUNDS["fp32"]}
        assert "against the dense graph" in spec.parity.inputs[-1]
    names = [output.name for output in trunk.outputs]
    assert [name for name in names if name.startswith("features_")] == [f"features_{stride}" for stride in strides]
    assert ("class_ids" in names) == (len(classes) > 1 and config != "26")
    assert ("mask_features" in names, "class_logits_8" in names) == ((config == "26"),) * 2
    assert {spec.defaults["reach_cells"] for spec in (heads, masks)} == {2}
    assert masks.defaults["margin_cells"] == (3 if config == "26" else 2)
    _compare_scores(tmp_path)


def _compare_scores(folder: Path) -> None:
    """The trunk's scores are those of the dense graph."""
    batch = np.stack(synthetic_pictures(2, 64, 256, seed=9)).transpose(0, 3, 1, 2).astype(np.float32) / 255
    dense, trunk = (open_session(folder / name / "mine.onnx", "onnxruntime") for name in ("dense", "parts"))
    expected, found = dense.run({"images": batch})["output0"], trunk.run({"images": batch})
    classes = len(dense.spec.class_names)
    best = 1 / (1 + np.exp(-found["best_logits"].astype(np.float64)))
    if dense.spec.family == "yolo-end2end":
        count = expected.shape[1]
        logits = [found[f"class_logits_{stride}"] for stride in (8, 16, 32)]
        every = np.concatenate([each.reshape(2, -1) for each in logits], axis=1)
        scores = np.sort(1 / (1 + np.exp(-every.astype(np.float64))), axis=1)[:, ::-1][:, :count]
        np.testing.assert_allclose(expected[..., 4], scores, atol=1e-5)
        np.testing.assert_allclose(np.sort(best, axis=1)[:, -1], expected[:, 0, 4], atol=1e-5)
        return
    scores = expected[:, 4 : 4 + classes]
    np.testing.assert_allclose(best, scores.max(axis=1), atol=1e-5)
    if classes > 1:
        clear = np.sort(scores, axis=1)[:, -1] - np.sort(scores, axis=1)[:, -2] > 1e-5
        np.testing.assert_array_equal(found["class_ids"][clear], scores.argmax(axis=1)[clear])


def _deeper(head: torch.nn.Module) -> None:
    from ultralytics.nn.modules import Conv

    for branches in (head.cv2, head.cv4):
        for branch in branches:
            width = branch[0].conv.out_channels
            branch.insert(1, Conv(width, width, 5))


def _pooled(head: torch.nn.Module) -> None:
    import torch

    for branch in head.cv4:
        branch.insert(1, torch.nn.MaxPool2d(3, 1, 1))


def test_the_reach_of_a_foreign_head_is_derived(tmp_path: Path) -> None:
    small_yolo.save_yolo(tmp_path / "small.pt", change=_deeper)
    _, heads, masks, *_ = export_model("mine", weights=tmp_path / "small.pt", imgsz=SIZE, out=tmp_path / "parts")
    assert [file.spec and file.spec.defaults["reach_cells"] for file in (heads, masks)] == [4, 4]


def test_a_head_that_can_not_be_cut_is_exported_dense_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small_yolo.save_yolo(tmp_path / "small.pt", change=_pooled)
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.heads.onnx").write_bytes(b"a part of an earlier export")
    request = ["export", "mine", "--weights", str(tmp_path / "small.pt"), "--imgsz", "128", "--out", str(out)]
    assert main(request) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("one dense graph, as with --dense, since this network can't be cut: ")
    assert "MaxPool /model.22/cv4.0/cv4.0.1/MaxPool" in last
    assert sorted(each.name for each in out.iterdir()) == ["mine.decode.onnx", "mine.onnx", "mine.preprocess.onnx"]
    assert read_spec(out / "mine.onnx").family == "yolo-seg"


def test_the_command_shows_the_parity_of_the_parts_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small_yolo.save_yolo(tmp_path / "small.pt")
    request = ["export", "mine", "--weights", str(tmp_path / "small.pt"), "--imgsz", "128", "--out", str(tmp_path)]
    assert main(request) == 0
    shown = capsys.readouterr().out
    assert shown.count("max_abs_parts_box_px") == shown.count("max_rel_parts_prototype") == 1
    assert shown.count("mine.heads.onnx") == shown.count("mine.masks.onnx") == 1
    assert "one dense graph" not in shown


def test_an_installed_model_is_cut_without_pytorch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("torch", "ultralytics", "transformers"):
        monkeypatch.setitem(sys.modules, package, None)
    made = cut_model(dense_demo.FOLDER, out=tmp_path / "demo-seg")
    names = [f"demo-seg{part}.onnx" for part in (".decode", ".heads", ".masks", "", ".preprocess")]
    assert sorted(each.name for each in (tmp_path / "demo-seg").iterdir()) == names
    assert sorted(file.path.name for file in made) == names
    for name in names[0], names[-1]:
        assert (tmp_path / "demo-seg" / name).read_bytes() == (dense_demo.FOLDER / name).read_bytes()
    with pytest.raises(SplitError, match="expected a model of family yolo-seg or yolo-end2end, found yolo-seg-sparse"):
        cut_model(tmp_path / "demo-seg")


def test_what_is_no_segmenter_is_not_cut(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError):
        cut_model(tmp_path / "nothing")
    clip = Path(locate("demo-clip")) / "demo-clip.image.onnx"
    with pytest.raises(SplitError, match=r"demo-clip\.image\.onnx: expected a model of family yolo-seg"):
        cut_model(clip, out=tmp_path)


@pytest.mark.parametrize("name", ["demo-seg", "yolo26"])
def test_fp16_graphs_are_cut(fp16: dict[str, Path], name: str, tmp_path: Path) -> None:
    made = split_dense(_exported(fp16[name] / f"{name}.onnx"), tmp_path, lambda _: None)
    dense = (fp16[name] / f"{name}.onnx").stat().st_size
    assert sum(file.path.stat().st_size for file in made) < 1.1 * dense
    for file in made:
        assert file.spec is not None
        assert file.spec.precision == "fp16"
        assert file.spec.parity is not None
        assert file.spec.parity.tolerance.items() >= BOUNDS["fp16"].items()


def _exported(path: Path) -> Exported:
    return Exported(path, read_spec(path))
