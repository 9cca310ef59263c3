"""Export of YOLO-seg: a small seeded network, and the real weights, compared with ultralytics' predictions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastsam_engine import open_session, read_spec
from fastsam_trt import Pipeline
from fastsam_trt.cli.main import main
from support import small_yolo
from support.typed import image_input, picture

pytestmark = pytest.mark.usefixtures("export_extra")

Export = Callable[..., Path]


@pytest.fixture(scope="session")
def seeded_weights(tmp_path_factory: pytest.TempPathFactory, export_extra: None) -> Path:
    """A YOLOv8n-seg of three classes with seeded weights, saved by ultralytics."""
    path = tmp_path_factory.mktemp("weights") / "small-seg.pt"
    small_yolo.save_yolo(path)
    return path


@pytest.mark.parametrize("dense", [False, True])
def test_a_seeded_network_is_exported_with_its_proof(
    seeded_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], backend: str, *, dense: bool
) -> None:
    before = sorted(seeded_weights.parent.iterdir())
    out = tmp_path / "out"
    request = ["export", "shapes-seg", "--weights", str(seeded_weights), "--imgsz", "160", "192", "--out", str(out)]
    assert main([*request, *(["--dense"] if dense else [])]) == 0
    parts = (".decode", "", ".preprocess") if dense else (".decode", ".heads", ".masks", "", ".preprocess")
    names = [f"shapes-seg{part}.onnx" for part in parts]
    assert sorted(each.name for each in out.iterdir()) == names
    assert sorted(seeded_weights.parent.iterdir()) == before  # nothing is left beside the user's weights
    assert "min_mask_iou" in capsys.readouterr().out
    spec = read_spec(out / "shapes-seg.onnx")
    assert spec.class_names == ("circle", "square", "star")
    image = image_input(spec)
    assert (image.height, image.width, image.size_multiple) == (160, 192, 32)
    assert len(spec.source.weights_sha256) == 64
    assert spec.source.model_id == "small-seg.pt"
    assert spec.parity is not None
    assert set(spec.parity.worst) == set(spec.parity.tolerance)
    assert any("onnxruntime" in inputs and "openvino" in inputs for inputs in spec.parity.inputs)
    frame = np.random.default_rng(0).integers(0, 256, (100, 120, 3), np.uint8)
    result = Pipeline(out / "shapes-seg.onnx", conf=0.0, max_segments=5, backend=backend)(frame)
    assert len(result) == 5
    assert result.masks().shape == (5, 100, 120)


def test_thresholds_replace_those_of_the_family(seeded_weights: Path, tmp_path: Path) -> None:
    from fastsam_export import export_model

    out = tmp_path / "mine"
    made, *_ = export_model("mine", weights=seeded_weights, imgsz=(64, 64), out=out, defaults={"iou": 0.5})
    assert made.spec is not None
    assert made.spec.defaults == {"conf": 0.25, "iou": 0.5, "max_segments": 300}


def test_a_graph_that_computes_something_else_is_not_kept(
    seeded_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from fastsam_export.frameworks import ultralytics_models

    real = ultralytics_models._outputs
    monkeypatch.setattr(ultralytics_models, "_outputs", lambda *a: tuple(each + 0.5 for each in real(*a)))
    out = tmp_path / "out"
    assert main(["export", "shapes-seg", "--weights", str(seeded_weights), "--imgsz", "64", "--out", str(out)]) == 1
    error = capsys.readouterr().err
    assert "expected the same outputs as PyTorch" in error
    assert "max_abs_box_px" in error
    assert not out.exists()
    assert not list(tmp_path.glob(".export-*"))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["yolov8n-sge"], "did you mean yolov8n-seg"),
        (["nothing-like-it"], "expected a published name or --weights"),
        (["yolov8n-seg", "--weights", "no-such.txt"], "expected an ultralytics checkpoint"),
        (["mine", "--weights", "no-such-folder"], "expected weights of a model of"),
        (["a/b", "--weights", "x.pt"], "expected a short name"),
        (["clip-vit-base-patch32", "--weights", "no-such-folder/here"], "transformers can't load CLIP"),
    ],
)
@pytest.mark.usefixtures("no_hub")
def test_wrong_requests_are_one_line(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    assert main(["export", *arguments]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("fastsam-trt")]
    assert len(lines) == 1
    assert expected in lines[0]
    assert {each.name for each in (home / "models").iterdir()} == {"colours", "things", "clip-colours"}


def test_weights_that_are_none_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "broken.pt").write_bytes(b"not a checkpoint")
    assert main(["export", "mine", "--weights", str(tmp_path / "broken.pt")]) == 2
    assert "ultralytics can't load them" in capsys.readouterr().err


def test_sizes_off_the_stride_are_refused(seeded_weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "mine", "--weights", str(seeded_weights), "--imgsz", "100"]) == 2
    assert "expected multiples of 32, found 100 x 100" in capsys.readouterr().err


@pytest.fixture(scope="session", params=["parts", "dense"])
def real_model(
    request: pytest.FixtureRequest, shared: Path, export_extra: None, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """YOLOv8n-seg exported from its real weights, cut into parts, and in one graph."""
    from fastsam_export import export_model

    weights = shared / "models" / "yolov8n-seg.pt"
    out = tmp_path_factory.mktemp("real") / "yolov8n-seg"
    return export_model("yolov8n-seg", weights=weights, out=out, dense=request.param == "dense")[0].path


def _iou_boxes(a: np.ndarray, b: np.ndarray) -> float:
    sides = np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0)
    inter = sides.prod()
    return float(inter / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - inter))


@pytest.mark.parametrize(
    ("engine", "precision", "box_bound", "mask_bound"),
    [("onnxruntime", "fp32", 0.98, 0.95), ("openvino", "fp32", 0.98, 0.95), ("openvino", "bf16", 0.95, 0.90)],
)
def test_photos_give_the_predictions_of_ultralytics(
    shared: Path, real_model: Path, engine: str, precision: str, box_bound: float, mask_bound: float
) -> None:
    """Every detection of score 0.3 and more, same class, boxes and masks at the photo's resolution."""
    import ultralytics

    from fastsam_engine.errors import BackendUnavailableError

    try:
        pipe = Pipeline(real_model, backend=engine, precision=precision, conf=0.25, iou=0.7, imgsz=640)
    except BackendUnavailableError as error:
        pytest.skip(str(error))
    reference = ultralytics.YOLO(str(shared / "models" / "yolov8n-seg.pt"))
    compared = 0
    for path in sorted((shared / "images").glob("*.jpg")):
        photo = picture(path)
        expected = reference.predict(photo, conf=0.25, iou=0.7, imgsz=640, retina_masks=True, verbose=False)[0].numpy()
        result = pipe(photo, rectangle="smallest")
        masks = result.masks()
        for box, mask in zip(expected.boxes, expected.masks.data.astype(bool), strict=True):
            if box.conf[0] < 0.3:
                continue
            same = [i for i in range(len(result)) if result.class_ids[i] == int(box.cls[0])]
            assert same, f"{path.name}: no {expected.names[int(box.cls[0])]}"
            best = max(same, key=lambda i: _iou_boxes(result.boxes[i], box.xyxy[0]))
            assert _iou_boxes(result.boxes[best], box.xyxy[0]) >= box_bound
            assert (mask & masks[best]).sum() / (mask | masks[best]).sum() >= mask_bound
            compared += 1
    assert compared >= 10


def test_class_agnostic_nms_and_classes_are_those_of_ultralytics(shared: Path, real_model: Path) -> None:
    import ultralytics

    reference = ultralytics.YOLO(str(shared / "models" / "yolov8n-seg.pt"))
    hidden = 0
    for name in ("bus.jpg", "dogs.jpg", "coffee.png"):
        photo = picture(shared / "images" / name)
        counts = []
        chosen: dict[str, Any]
        for chosen in ({}, {"agnostic_nms": True}, {"agnostic_nms": True, "classes": [0, 41, 45]}):
            options: dict[str, Any] = {"conf": 0.05, "iou": 0.5, "imgsz": 640, **chosen}
            expected = reference.predict(photo, verbose=False, **options)[0].numpy().boxes
            pipe = Pipeline(real_model, backend="onnxruntime", precision="fp32", **options)
            result = pipe(photo, rectangle="smallest")
            np.testing.assert_array_equal(result.class_ids, expected.cls)
            np.testing.assert_allclose(result.boxes, expected.xyxy, atol=0.5)
            counts.append(len(result))
        hidden += counts[0] - counts[1]
    assert hidden > 0


@pytest.mark.parametrize(
    ("photo", "prompt", "count"), [("bus.jpg", "person", 4), ("bus.jpg", "bus", 1), ("cat.jpg", "cat", 1)]
)
def test_prompts_select_on_photos(shared: Path, real_model: Path, photo: str, prompt: str, count: int) -> None:
    result = Pipeline(real_model, prompts=[prompt])(picture(shared / "images" / photo))
    assert result.labels == [prompt] * count
    assert all(mask.sum() > 1000 for mask in result.masks())


def test_cars_are_found_in_the_video(shared: Path, real_model: Path, tmp_path: Path) -> None:
    pipe = Pipeline(real_model, prompts=["car"])
    found = [len(result) > 0 for result in pipe.stream(shared / "videos" / "bikes.mp4", vid_stride=5)]
    assert len(found) == 50
    assert sum(found[20:37]) >= 12  # frames 100 to 180


def test_the_export_of_ultralytics_gives_the_same_result(shared: Path, real_model: Path, tmp_path: Path) -> None:
    import shutil

    import ultralytics

    weights = tmp_path / "own.pt"
    shutil.copyfile(shared / "models" / "yolov8n-seg.pt", weights)
    own = ultralytics.YOLO(str(weights)).export(format="onnx", dynamic=True, imgsz=640, verbose=False)
    frame = picture(shared / "images" / "bus.jpg")
    ours, theirs = (Pipeline(model, precision="fp32")(frame) for model in (real_model, own))
    assert ours.labels == theirs.labels
    np.testing.assert_allclose(ours.boxes, theirs.boxes, atol=0.1)
    assert open_session(own).spec.source.licence.startswith("AGPL-3.0")


def test_a_detector_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import ultralytics

    ultralytics.YOLO("yolov8n.yaml", task="detect").save(str(tmp_path / "detector.pt"))
    assert main(["export", "mine", "--weights", str(tmp_path / "detector.pt")]) == 1
    assert "expected a segmentation model, found task 'detect'" in capsys.readouterr().err
