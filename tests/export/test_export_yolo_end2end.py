"""Export of YOLO26-seg with its end-to-end head: a small seeded network, compared with ultralytics' predictions."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastsam_engine import open_session, read_spec
from fastsam_export.parity import synthetic_pictures
from fastsam_trt import Pipeline
from fastsam_trt.cli.main import main
from fastsam_trt.frames.letterbox import fit
from fastsam_trt.segmentation.families import Thresholds, decoder_for
from fastsam_trt.segmentation.segments import Segments
from support import small_yolo
from support.typed import image_input

pytestmark = pytest.mark.usefixtures("export_extra")

H, W = small_yolo.SIZE
SHAPES = ((150, 180, 10), (300, 400, 11), (160, 192, 12), (400, 200, 13))  # height, width, px; seed
RIM_PX = 5


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory, export_extra: None) -> Path:
    path = tmp_path_factory.mktemp("weights26") / "small26-seg.pt"
    small_yolo.save_yolo26(path)
    return path


@pytest.fixture(scope="session")
def exported(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small network, exported by the command, which recognises its kind."""
    out = tmp_path_factory.mktemp("made26") / "shapes26"
    request = ["export", "shapes26", "--weights", str(weights), "--imgsz", str(H), str(W), "--dense"]
    assert main([*request, "--out", str(out)]) == 0
    assert [each.name for each in weights.parent.iterdir()] == [weights.name]
    return out / "shapes26.onnx"


@pytest.fixture(scope="session", params=["parts", "dense"])
def model(request: pytest.FixtureRequest, exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, cut into parts, and in one graph."""
    from fastsam_export import cut_model

    if request.param == "dense":
        return exported
    return cut_model(exported, out=tmp_path_factory.mktemp("cut26") / "shapes26")[0].path


@pytest.fixture(scope="session")
def frames() -> list[NDArray[np.uint8]]:
    """Pictures of several shapes, in which the small network finds dozens of confident boxes."""
    return [synthetic_pictures(1, height, width, seed)[0] for height, width, seed in SHAPES]


def test_the_spec_describes_the_outputs_and_the_parity(exported: Path) -> None:
    names = [f"shapes26{part}.onnx" for part in (".decode", "", ".preprocess")]
    assert sorted(each.name for each in exported.parent.iterdir()) == names
    spec = read_spec(exported)
    assert (spec.family, spec.class_names) == ("yolo-end2end", ("circle", "square", "star"))
    image = image_input(spec)
    assert (image.height, image.width, image.size_multiple) == (H, W, 32)
    assert image.batch == (1, None)
    assert spec.defaults == {"conf": 0.25, "iou": 1.0, "max_segments": 300}
    assert spec.source.licence == "AGPL-3.0"
    assert spec.parity is not None
    assert set(spec.parity.worst) == set(spec.parity.tolerance)
    assert any("onnxruntime" in inputs and "openvino" in inputs for inputs in spec.parity.inputs)


def _iou(box: NDArray[np.float32], boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    sides = np.maximum(np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2]), 0).prod(axis=1)
    areas = (box[2:] - box[:2]).prod() + (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return sides / (areas - sides)


def test_frames_give_the_predictions_of_ultralytics(
    weights: Path, model: Path, frames: list[NDArray[np.uint8]], backend: str
) -> None:
    """Every detection of score 0.3 and more: same class, boxes and masks at the frame's resolution.

    Half a prototype beside padding is left out of the masks: ultralytics cuts the padding off before it resizes.
    """
    import ultralytics

    inside = (slice(RIM_PX, -RIM_PX), slice(RIM_PX, -RIM_PX))

    pipe = Pipeline(model, backend=backend, precision="fp32")
    reference = ultralytics.YOLO(str(weights))
    compared, classes = 0, set()
    for frame in frames:
        expected = reference.predict(
            frame, conf=0.25, imgsz=[H, W], retina_masks=True, verbose=False, nms=False
        )[0].numpy()  # fmt: skip
        result = pipe(frame, rectangle="smallest")
        assert (np.diff(result.scores) <= 0).all()
        masks = result.masks()
        for box, mask in zip(expected.boxes, expected.masks.data.astype(bool), strict=True):
            if box.conf[0] < 0.3:
                continue
            ious = np.where(result.class_ids == int(box.cls[0]), _iou(box.xyxy[0], result.boxes), 0)
            ious[np.abs(result.scores - box.conf[0]) > 1e-3] = 0  # boxes may coincide: of two anchors, of two classes
            best = int(ious.argmax())
            assert ious[best] >= 0.98
            theirs, ours = mask[inside], masks[best][inside]
            assert (theirs & ours).sum() >= 0.95 * (theirs | ours).sum()
            compared += 1
            classes.add(int(box.cls[0]))
        assert abs(masks.any(axis=(1, 2)).sum() - len(expected)) <= 1  # ultralytics drops boxes whose mask is empty
    assert compared >= 50
    assert classes == {0, 1, 2}


def test_a_batch_equals_its_pictures_alone(exported: Path, frames: list[NDArray[np.uint8]], backend: str) -> None:
    session = open_session(exported, backend=backend, precision="fp32")
    batch = np.stack([frames[2], frames[2][::-1]]).transpose(0, 3, 1, 2).astype(np.float32) / 255
    together = session.run({"images": batch})
    assert together["output0"].shape == (2, 300, 38)
    for index in range(2):
        alone = session.run({"images": batch[index : index + 1]})
        np.testing.assert_allclose(together["output1"][index], alone["output1"][0], atol=1e-3)
        np.testing.assert_allclose(together["output0"][index, :, 4], alone["output0"][0, :, 4], atol=1e-4)


def test_a_small_input_has_fewer_detections(exported: Path, backend: str) -> None:
    """64 x 96 px have 126 anchors; the graph of ultralytics needs 300 and fails."""
    session = open_session(exported, backend=backend, precision="fp32")
    found = session.run({"images": np.random.default_rng(0).random((1, 3, 64, 96), np.float32)})["output0"]
    assert found.shape[0] == 1
    assert 126 <= found.shape[1] <= 300
    assert np.isfinite(found).all()


def _decode(exported: Path, rows: list[list[float]], **thresholds: Any) -> Segments:
    """Segments from rows (x0, y0, x1, y1, score, class) for a frame that fills the input."""
    session = open_session(exported, backend="onnxruntime")
    decoder = decoder_for(session, lambda part: session)
    output0 = np.zeros((1, 300, 38), np.float32)
    output0[0, : len(rows), :6] = rows
    output0[0, :, 6] = 1
    outputs = {"output0": output0, "output1": np.ones((1, 32, H // 4, W // 4), np.float32)}
    settings: dict[str, Any] = {"conf": 0.25, "iou": 0.5, "max_segments": 300, **thresholds}
    return decoder.decode(outputs, fit(H, W, image_input(session.spec)), Thresholds(**settings))


ROWS = [
    [10, 10, 50, 40, 0.9, 2],
    [10, 10, 50, 40, 0.8, 2],  # the same box again stays: there is no NMS
    [-20, 100, 30, 170, 0.95, 0],
    [60, 60, 50, 80, 0.7, 1],  # inside out
    [-30, 10, -5, 40, 0.7, 1],  # beside the frame
    [70, 70, 90, 90, 0.2, 1],  # too weak
    [100, 20, 140, 60, 0.5, 1],
]


def test_rows_become_segments_best_first_inside_the_frame(exported: Path) -> None:
    segments = _decode(exported, ROWS)
    np.testing.assert_allclose(segments.scores, np.array([0.95, 0.9, 0.8, 0.5]))
    assert segments.class_ids.tolist() == [0, 2, 2, 1]
    assert segments.boxes.tolist() == [[0, 100, 30, 160], [10, 10, 50, 40], [10, 10, 50, 40], [100, 20, 140, 60]]
    crops = segments.masks.decode(range(4))
    assert [crop.pixels.shape for crop in crops] == [(60, 30), (30, 40), (30, 40), (40, 40)]
    assert all(crop.pixels.all() for crop in crops)


@pytest.mark.parametrize(
    ("thresholds", "scores"),
    [
        ({"conf": 0.85}, [0.95, 0.9]),
        ({"classes": (1, 2)}, [0.9, 0.8, 0.5]),
        ({"max_segments": 2}, [0.95, 0.9]),
        ({"classes": (1,), "max_segments": 1}, [0.5]),
        ({"iou": 0.0}, [0.95, 0.9, 0.8, 0.5]),
        ({"conf": 0.99}, []),
    ],
)
def test_thresholds_choose_segments(exported: Path, thresholds: dict[str, Any], scores: list[float]) -> None:
    segments = _decode(exported, ROWS, **thresholds)
    np.testing.assert_allclose(segments.scores, np.array(scores))
    assert len(segments.masks) == len(scores)


@pytest.fixture(scope="session")
def own(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small network, exported by ultralytics."""
    import ultralytics

    copy = shutil.copyfile(weights, tmp_path_factory.mktemp("own26") / "own.pt")
    return Path(ultralytics.YOLO(str(copy)).export(format="onnx", dynamic=True, imgsz=[H, W], nms=False, verbose=False))


def test_the_export_of_ultralytics_runs_unchanged(
    exported: Path, own: Path, frames: list[NDArray[np.uint8]], backend: str
) -> None:
    spec = read_spec(own)
    assert (spec.family, spec.outputs) == ("yolo-end2end", read_spec(exported).outputs)
    ours, theirs = (Pipeline(model, backend=backend, precision="fp32")(frames[1]) for model in (exported, own))
    assert len(ours) > 10
    np.testing.assert_allclose(ours.scores, theirs.scores, atol=1e-4)
    np.testing.assert_allclose(ours.boxes, theirs.boxes, atol=0.1)


def test_near_ties_change_no_figure() -> None:
    from fastsam_export.families.yolo_end2end import YoloEnd2EndFamily

    rows = np.random.default_rng(0).normal(size=(1, 60, 38)).astype(np.float32) * 20
    rows[..., 2:4] = rows[..., :2] + 30
    rows[..., 4] = np.linspace(0.9, 0.1, 60)
    rows[0, 1, 4] = rows[0, 0, 4]
    rows[..., 5] = np.arange(60) % 3
    prototypes = np.random.default_rng(1).normal(size=(1, 32, 20, 20)).astype(np.float32)
    swapped = rows.copy()
    swapped[0, [0, 1]] = rows[0, [1, 0]]
    compare = YoloEnd2EndFamily().compare
    same = {"max_abs_score": 0, "max_abs_box_px": 0, "max_abs_prototype": 0}
    same |= {"min_box_iou": 1, "min_mask_iou": 1, "min_class_agreement": 1}
    assert compare((rows, prototypes), (swapped, prototypes), 3) == pytest.approx(same)
    wrong = rows.copy()
    wrong[0, 7, 5] = 5
    wrong[0, 9, 0] += 3
    figures = compare((rows, prototypes), (wrong, prototypes), 3)
    assert figures["min_class_agreement"] == pytest.approx(0.98)
    assert figures["max_abs_box_px"] == pytest.approx(3, abs=1e-3)
    assert figures["min_box_iou"] < 0.99


def test_weights_of_the_other_kind_under_a_published_name_are_refused(
    weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "yolov8n-seg", "--weights", str(weights)]) == 1
    error = capsys.readouterr().err
    assert "expected a model with raw predictions (for NMS), found one with an end-to-end head" in error
    assert "a name that no published model has" in error


@pytest.mark.parametrize(
    ("name", "family"),
    [("yolo26n-seg.pt", "yolo-end2end"), ("yolo11n-seg.pt", "yolo-seg"), ("other.pt", "yolo-seg")],
)
def test_weights_to_fetch_are_recognised_by_their_published_name(name: str, family: str) -> None:
    from fastsam_export.families import all_families

    assert [each.name for each in all_families().values() if each.recognises(Path("nowhere") / name)] == [family]


def test_a_detector_of_this_kind_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import ultralytics

    ultralytics.YOLO("yolo26n.yaml", task="detect").save(str(tmp_path / "detector.pt"))
    assert main(["export", "mine", "--weights", str(tmp_path / "detector.pt")]) == 1
    assert "expected a segmentation model, found task 'detect'" in capsys.readouterr().err


def test_an_export_with_nms_inside_runs_without_nms(tmp_path: Path, exported: Path) -> None:
    import onnx

    model = onnx.load(str(exported))
    kept = {each.key: each.value for each in model.metadata_props if not each.key.startswith("fastsam_trt")}
    for more in ({"args": "{'nms': True, 'dynamic': True}"}, {}):  # some versions did not say
        kept.pop("args", None)
        onnx.helper.set_model_props(model, {**kept, "end2end": "False", **more})
        onnx.save(model, str(tmp_path / "nms.onnx"))
        spec = read_spec(tmp_path / "nms.onnx")
        assert (spec.family, spec.outputs[0].meaning) == ("yolo-end2end", "yolo-end2end-detections")
        assert spec.defaults["iou"] == 1
