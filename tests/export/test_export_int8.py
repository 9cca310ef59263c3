"""int8 exports: trained models compared with fp32, modules excluded by measurement, and refused requests."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from fastsam_engine import open_session, read_spec
from fastsam_engine.errors import BackendUnavailableError
from fastsam_engine.spec.model_input import ImageInput
from fastsam_engine.spec.model_spec import ModelSpec
from fastsam_trt import Pipeline
from fastsam_trt.bundled_models import locate
from fastsam_trt.cli.main import main
from fastsam_trt.clip.crops import clip_batch
from fastsam_trt.demo import draw_scene
from fastsam_trt.frames.preprocess import FramePreprocessor
from support import dense_demo
from support.typed import picture

if TYPE_CHECKING:
    from fastsam_export.int8.calibration_images import CalibrationPictures

pytestmark = pytest.mark.usefixtures("export_extra")

QDQ = {"QuantizeLinear", "DequantizeLinear"}
SIDE = 320  # px; the demo's segmenter takes any multiple of 32
Quantise = Callable[..., Path]


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a dozen drawn scenes of a few large objects."""
    folder = tmp_path_factory.mktemp("scenes")
    for seed in range(12):
        cv2.imwrite(str(folder / f"{seed:02}.png"), _frame(7_000 + seed))
    return folder


@pytest.fixture(scope="session")
def pictures(scenes: Path, export_extra: None) -> CalibrationPictures:
    from fastsam_export.int8.calibration_images import CalibrationPictures

    return CalibrationPictures.of(scenes)


@pytest.fixture
def quantise(pictures: CalibrationPictures, tmp_path: Path) -> Quantise:
    """Quantises a copy of a demo model in a new folder; `change` may change the specs of its graphs."""
    return lambda name, change=lambda spec: spec: _quantise(name, tmp_path / "int8", pictures, change)


@pytest.fixture(scope="session")
def int8(pictures: CalibrationPictures, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The graphs of both demo models that take pictures, in int8."""
    folder = tmp_path_factory.mktemp("int8")
    return {name: _quantise(name, folder / name, pictures, lambda spec: spec) for name in ("demo-seg", "demo-clip")}


def _quantise(name: str, folder: Path, pictures: CalibrationPictures, change: Callable[[ModelSpec], ModelSpec]) -> Path:
    from fastsam_export.families import Exported
    from fastsam_export.int8.quantise import quantise

    shutil.copytree(_fp32(name).parent, folder)
    graphs = sorted(folder.glob("*.onnx"))
    quantise([Exported(path, change(_small(read_spec(path)))) for path in graphs], pictures, lambda _: None)
    return folder / _fp32(name).name


def _frame(seed: int) -> NDArray[np.uint8]:
    return draw_scene(seed, 180, 320, items=(2, 4), radius_px=(30, 60)).frame


def _small(spec: ModelSpec) -> ModelSpec:
    if spec.task != "segment" or not isinstance(spec.input, ImageInput):
        return spec
    return dataclasses.replace(spec, input=dataclasses.replace(spec.input, height=SIDE, width=SIDE))


def _fp32(name: str) -> Path:
    if name == "demo-seg":
        return dense_demo.FOLDER / "demo-seg.onnx"
    return Path(locate(name)) / f"{name}.image.onnx"


@pytest.mark.parametrize(("name", "weighted", "smaller"), [("demo-seg", "Conv", 0.55), ("demo-clip", "MatMul", 0.6)])
def test_the_graph_is_quantised_inside_and_fp32_outside(
    int8: dict[str, Path], name: str, weighted: str, smaller: float
) -> None:
    import onnx

    before, after = onnx.load(str(_fp32(name))), onnx.load(str(int8[name]))
    onnx.checker.check_model(after, full_check=True)
    for a, b in ((before.graph.input, after.graph.input), (before.graph.output, after.graph.output)):
        assert [each.name for each in a] == [each.name for each in b]
        assert [each.type.tensor_type for each in a] == [each.type.tensor_type for each in b]
    made = {output: node for node in after.graph.node for output in node.output}
    assert {each.op_type for each in after.graph.node} >= QDQ
    inside = [
        node
        for node in after.graph.node
        if node.op_type == weighted and all(each in made and made[each].op_type in QDQ for each in node.input[:2])
    ]
    assert len(inside) > 10
    for node in after.graph.node:
        if node.op_type == "QuantizeLinear":  # what a convolution gives goes into its activation as it is
            assert node.input[0] not in made or made[node.input[0]].op_type != weighted
        if node.op_type in ("Add", "Concat", "LayerNormalization", "Sigmoid", "Softmax"):
            assert node.input[0] not in made or made[node.input[0]].op_type not in QDQ
    assert not QDQ & {made[each.name].op_type for each in after.graph.output}
    assert int8[name].stat().st_size < smaller * _fp32(name).stat().st_size


def test_the_spec_records_the_precision_and_the_proof(int8: dict[str, Path]) -> None:
    import onnx

    for name, graph in int8.items():
        before, spec = _small(read_spec(_fp32(name))), read_spec(graph)
        assert (before.precision, spec.precision) == ("fp32", "int8")
        assert (spec.input, spec.outputs, spec.defaults) == (before.input, before.outputs, before.defaults)
        assert spec.parity is not None
        assert set(spec.parity.worst) == set(spec.parity.tolerance)
        assert "not calibrated on" in spec.parity.inputs[0]
        assert all(spec.parity.worst[figure] >= bound for figure, bound in spec.parity.tolerance.items())
        said = {each.key: each.value for each in onnx.load(str(graph)).metadata_props}
        left_out = json.loads(said["fastsam_trt.int8"])["left_out"]
        assert spec.parity.inputs[0].endswith(f"left in floating point: {', '.join(left_out) or 'no module'}")
    text = int8["demo-clip"].with_name("demo-clip.text.onnx")
    assert text.read_bytes() == (_fp32("demo-clip").parent / text.name).read_bytes()


def test_weights_on_a_grid_keep_it_and_others_lose_less_than_with_the_largest_weight() -> None:
    from fastsam_export.int8.weight_scales import weight_scales

    generator = np.random.default_rng(0)
    drawn = generator.normal(size=(6, 3, 3, 3)).astype(np.float32)
    drawn[:, 0, 0, 0] = (8, -9, 10, 11, 12, 13)  # far out
    drawn[5] = 0
    steps = np.arange(60, 120)[:, None, None, None] * np.sign(generator.normal(size=(60, 1, 3, 3)))
    grid = np.round(generator.uniform(0, 1, (60, 1, 3, 3)) * steps).astype(np.float32) * np.float32(0.013)
    grid[:, 0, 0, 0] = np.arange(60, 120, dtype=np.float32) * np.float32(0.013)

    def lost(weights: NDArray[np.float32], scales: NDArray[np.float32]) -> NDArray[np.float32]:
        each = scales.reshape(-1, 1, 1, 1)
        return np.asarray(np.square(np.clip(np.rint(weights / each), -127, 127) * each - weights).sum(axis=(1, 2, 3)))

    largest = np.abs(drawn).max(axis=(1, 2, 3)) / np.float32(127)
    largest[5] = 1
    before, after = lost(drawn, largest), lost(drawn, weight_scales(drawn))
    assert (after <= before).all()
    assert after.sum() < 0.9 * before.sum()
    assert (weight_scales(drawn) > 0).all()
    assert lost(grid, weight_scales(grid)).max() < 1e-8
    assert lost(grid, np.abs(grid).max(axis=(1, 2, 3)) / np.float32(127)).max() > 1e-5


@pytest.mark.parametrize(("groups", "bias"), [(1, True), (2, False), (4, True)])
def test_biases_correct_the_rounding_of_means(tmp_path: Path, groups: int, bias: bool) -> None:
    import onnx

    from fastsam_export.int8.quantised_graph import Int8Graph

    generator = np.random.default_rng(1)
    weights = generator.normal(size=(8, 4 // groups, 3, 3)).astype(np.float32)
    weights[:, 0, 1, 1] = 6
    stored = [onnx.numpy_helper.from_array(weights, "weights")]
    if bias:
        stored.append(onnx.numpy_helper.from_array(generator.normal(size=8).astype(np.float32), "bias"))
    value = onnx.helper.make_tensor_value_info
    names = ["pictures", *(each.name for each in stored)]
    nodes = [
        onnx.helper.make_node("Conv", names, ["made"], name="/a.0/Conv", group=groups),
        onnx.helper.make_node("Sigmoid", ["made"], ["found"], name="/sigmoid"),
    ]
    graph = onnx.helper.make_graph(
        nodes, "one", [value("pictures", 1, [1, 4, 24, 24])], [value("found", 1, None), value("made", 1, None)], stored
    )
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)]), tmp_path / "one.onnx")
    inputs = [
        {"pictures": np.exp(generator.normal(-2, 1.5, (1, 4, 24, 24))).astype(np.float32).clip(0, 9)} for _ in range(8)
    ]
    quantiser = Int8Graph(tmp_path / "one.onnx", ("Conv",), inputs)
    quantiser.write(tmp_path / "corrected.onnx")
    assert set(quantiser._biases) == {"/a.0/Conv"}
    quantiser._biases = {}
    quantiser.write(tmp_path / "plain.onnx")
    means = {}
    for name in ("one", "corrected", "plain"):
        session = _session(tmp_path / f"{name}.onnx")
        means[name] = np.mean([session.run(["made"], each)[0].mean(axis=(0, 2, 3)) for each in inputs], axis=0)
    plain, corrected = (np.abs(means[name] - means["one"]).max() for name in ("plain", "corrected"))
    assert corrected < 0.2 * plain


def _session(path: Path) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def test_nodes_in_floating_point_take_tensors_before_rounding(int8: dict[str, Path]) -> None:
    import onnx

    for name, weighted in (("demo-seg", {"Conv"}), ("demo-clip", {"Gemm", "MatMul"})):
        graph = onnx.load(str(int8[name])).graph
        rounded = {node.output[0] for node in graph.node if node.op_type == "DequantizeLinear"}
        takers = [node for node in graph.node if rounded.intersection(node.input)]
        assert takers
        assert {node.op_type for node in takers} <= weighted


def test_it_finds_the_same_as_fp32_on_other_pictures(int8: dict[str, Path], backend: str) -> None:
    one, other = (
        Pipeline(graph, imgsz=SIDE, backend=backend, precision=precision)
        for graph, precision in ((_fp32("demo-seg"), "fp32"), (int8["demo-seg"], "auto"))
    )
    assert (one.segmenter.session.precision, other.segmenter.session.precision) == ("fp32", "int8")
    found = together = 0
    for seed in range(12):
        frame = _frame(9_000 + seed)
        expected, result = one(frame), other(frame)
        if not len(expected) or not len(result):
            found += len(expected)
            continue
        masks_a, masks_b = (each.masks().reshape(len(each), -1).astype(np.float32) for each in (expected, result))
        inter = masks_a @ masks_b.T
        ious = inter / (masks_a.sum(axis=1)[:, None] + masks_b.sum(axis=1) - inter)
        found += len(expected)
        together += int((ious.max(axis=1) > 0.9).sum())
    assert found >= 20
    assert together >= 0.9 * found


def test_embeddings_change_little(int8: dict[str, Path], backend: str) -> None:
    session = open_session(int8["demo-clip"], backend)
    assert session.precision == "int8"
    assert isinstance(session.spec.input, ImageInput)
    preprocessor = FramePreprocessor(session.spec.input)
    batch = np.concatenate(
        [preprocessor.prepare(draw_scene(seed, 90, 110).frame)[0].copy() for seed in range(9_000, 9_012)]
    )
    found = session.run({session.spec.input.name: batch})["image_embeds"]
    expected = open_session(_fp32("demo-clip"), backend, precision="fp32").run({session.spec.input.name: batch})
    assert (found * expected["image_embeds"]).sum(axis=1).min() > 0.99


def test_modules_that_int8_damages_are_measured_and_excluded(
    quantise: Quantise, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One module gets a range that is far too wide. Only this module is excluded, and then the bounds hold."""
    import onnx

    from fastsam_export.int8 import quantised_graph

    real = quantised_graph._ranges

    def spoiled(*arguments: Any) -> Any:
        ranges = real(*arguments)
        hurt = next(name for name in ranges.data if name.startswith("/model.15/m.0/cv1/act/"))
        ranges.data[hurt].highest = np.float32(3_000)
        return ranges

    monkeypatch.setattr(quantised_graph, "_ranges", spoiled)
    graph = quantise("demo-seg")
    said = {each.key: each.value for each in onnx.load(str(graph)).metadata_props}
    assert json.loads(said[quantised_graph.METADATA_KEY])["left_out"][0] == "/model.15"
    spec = read_spec(graph)
    assert spec.parity is not None
    assert "left in floating point: /model.15" in spec.parity.inputs[0]
    nodes = {node.name: node for node in onnx.load(str(graph)).graph.node}
    kept = [node for name, node in nodes.items() if name.startswith("/model.15/") and node.op_type == "Conv"]
    assert kept
    assert not any("Dequantize" in node.input[1] for node in kept)


def test_backends_compute_it_in_int8_or_not_at_all(int8: dict[str, Path], backend: str) -> None:
    with pytest.raises(BackendUnavailableError, match=r"this graph, which is int8, in int8.*, not in fp32"):
        open_session(int8["demo-clip"], backend, precision="fp32")
    assert open_session(int8["demo-clip"], backend, precision="int8").precision == "int8"


@pytest.mark.parametrize("name", ["demo-seg", "demo-clip"])
def test_pictures_are_preprocessed_like_frames(scenes: Path, name: str) -> None:
    from fastsam_export.int8.calibration_images import pictures_for

    image = read_spec(_fp32(name)).input
    assert isinstance(image, ImageInput)
    path = scenes / "00.png"
    frame = picture(path)
    first, *rest = pictures_for([path], image)
    assert first.dtype == np.float32
    if name == "demo-seg":
        np.testing.assert_allclose(first, FramePreprocessor(image).prepare(frame)[0], atol=1e-6)
        assert not rest
        return
    height, width = frame.shape[:2]
    y, x = height // 2, width // 2
    cuts = [(0, 0, width, height), (0, 0, x, y), (x, 0, width, y), (0, y, x, height), (x, y, width, height)]
    expected = clip_batch(frame, np.array(cuts), image)
    level = image.scale / min(image.std)
    np.testing.assert_allclose(np.concatenate([first, *rest]), expected, atol=2 * level)


def test_many_pictures_are_used_evenly(tmp_path: Path) -> None:
    from fastsam_export.int8.calibration_images import MOST, CalibrationPictures

    picture = np.zeros((8, 8, 3), np.uint8)
    for index in range(1_000):
        cv2.imwrite(str(tmp_path / f"{index:04}.png"), picture)
    (tmp_path / "notes.txt").write_text("no image")
    chosen = CalibrationPictures.of(tmp_path)
    assert not set(chosen.calibrating) & set(chosen.held_back)
    used = sorted(int(each.stem) for each in (*chosen.calibrating, *chosen.held_back))
    assert (len(used), used[0], used[-1]) == (MOST, 0, 999)
    assert set(np.diff(used)) <= {7, 8}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--precision", "int8"], "calibration: expected a folder of images like those that the model will see"),
        (["--calibration", "{scenes}"], "expected --precision int8, the only one that calibrates, found fp32"),
        (["--precision", "fp16", "--calibration", "{scenes}"], "the only one that calibrates, found fp16"),
        (["--precision", "int8", "--calibration", "{tmp}/none"], "expected a folder of images, found no such folder"),
        (["--precision", "int8", "--calibration", "{scenes}/00.png"], "expected a folder of images, found a file"),
        (["--precision", "int8", "--calibration", "{tmp}/few"], "expected 8 images or more, found 3"),
        (["--precision", "int8", "--calibration", "{tmp}/bad"], "04.png: expected an image, found a file that OpenCV"),
    ],
)
def test_an_invalid_calibration_is_refused_before_any_work(
    options: list[str], expected: str, scenes: Path, home: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    from fastsam_export.frameworks.ultralytics_models import UltralyticsFamily

    monkeypatch.setattr(UltralyticsFamily, "export", lambda *_: pytest.fail("it went to work"))
    shutil.copytree(scenes, tmp_path / "bad")
    (tmp_path / "bad" / "04.png").write_text("no image")
    (tmp_path / "few").mkdir()
    for name in ("00.png", "01.png", "02.png"):
        shutil.copy(scenes / name, tmp_path / "few")
    given = [each.format(scenes=scenes, tmp=tmp_path) for each in options]
    assert main(["export", "yolov8n-seg", *given]) == 2
    assert expected in capsys.readouterr().err
    assert not list((home / "models").glob("yolov8n-seg*"))


def test_a_truncated_image_is_named(tmp_path: Path, scenes: Path) -> None:
    from fastsam_export.errors import CalibrationError
    from fastsam_export.int8.calibration_images import CalibrationPictures, pictures_for

    shutil.copytree(scenes, tmp_path / "cut")
    path = tmp_path / "cut" / "04.png"
    path.write_bytes(path.read_bytes()[:40])
    chosen = CalibrationPictures.of(tmp_path / "cut")  # whose first bytes are an image's
    image = read_spec(_fp32("demo-seg")).input
    assert isinstance(image, ImageInput)
    with pytest.raises(CalibrationError, match=r"04\.png: expected an image"):
        list(pictures_for((*chosen.calibrating, *chosen.held_back), image))


def test_families_that_were_not_measured_are_refused(
    small_checkpoints: dict[str, Path], scenes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = ["export", "mine", "--weights", str(small_checkpoints["segformer"])]
    assert main([*request, "--precision", "int8", "--calibration", str(scenes)]) == 1
    assert "int8: expected a model of family yolo-seg, yolo-end2end, clip, found segformer" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"precision": "fp16"}, "int8: expected a graph in fp32, found demo-seg.onnx in fp16"),
        ({"family": "another"}, "found demo-seg.onnx of another"),
        ({"defaults": {"conf": 0.9999, "iou": 0.7, "max_segments": 300}}, "found no detection"),
    ],
)
def test_graphs_that_can_not_be_quantised_are_refused(
    quantise: Quantise, change: dict[str, Any], expected: str
) -> None:
    from fastsam_export.errors import ExportError

    with pytest.raises(ExportError, match=expected):
        quantise("demo-seg", lambda spec: dataclasses.replace(spec, **change))


def test_numbers_that_are_not_finite_are_refused(pictures: CalibrationPictures, tmp_path: Path) -> None:
    import onnx

    from fastsam_export.errors import NotFiniteError
    from fastsam_export.families import Exported
    from fastsam_export.int8.quantise import quantise

    graph = tmp_path / "demo-clip.image.onnx"
    model = onnx.load(str(_fp32("demo-clip")))
    for each in model.graph.initializer:
        if "patch_embedding" in each.name:
            each.CopyFrom(
                onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(each) * np.float32(np.inf), each.name)
            )
    onnx.save(model, str(graph))
    with pytest.raises(NotFiniteError, match="NaN or infinite in output image_embeds on the calibration pictures"):
        quantise([Exported(graph, read_spec(graph))], pictures, lambda _: None)


def test_the_command_installs_it_beside_fp32_and_a_failure_keeps_it(
    scenes: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A small seeded YOLO26 with its end-to-end head; then with ranges that are far too wide."""
    from fastsam_export.int8 import agreement, quantised_graph
    from fastsam_export.int8 import quantise as int8_precision
    from support import small_yolo

    monkeypatch.setattr(agreement, "_DETECTIONS", dict.fromkeys(agreement._DETECTIONS, 0.5))
    small_yolo.save_yolo26(tmp_path / "small.pt")
    request = ["export", "mine", "--weights", str(tmp_path / "small.pt"), "--imgsz", "160", "192"]
    request += ["--precision", "int8", "--calibration", str(scenes)]
    assert main(request) == 0
    assert "parity with fp32" in capsys.readouterr().out
    folder = home / "models" / "mine-int8"
    before = {each.name: each.read_bytes() for each in folder.iterdir()}
    assert read_spec(folder / "mine.onnx").precision == "int8"
    assert main(["info", "mine-int8"]) == 0
    assert "int8" in capsys.readouterr().out

    real = quantised_graph._ranges

    def spoiled(*arguments: Any) -> Any:
        ranges = real(*arguments)
        for each in ranges.data.values():
            each.highest = np.float32(1e5)
        return ranges

    monkeypatch.setattr(quantised_graph, "_ranges", spoiled)
    monkeypatch.setattr(int8_precision._Choice, "_by_damage", lambda *_: [])
    assert main(request) == 1
    error = capsys.readouterr().err
    assert "same outputs as the fp32 graph" in error
    assert "no file was kept" in error
    assert {each.name: each.read_bytes() for each in folder.iterdir()} == before


def test_an_int8_graph_is_cut(int8: dict[str, Path], tmp_path: Path) -> None:
    """Its parts stay in int8 and find the same."""
    import onnx

    from fastsam_export.family import Exported
    from fastsam_export.sparse.agreement import BOUNDS
    from fastsam_export.sparse.split import split_dense

    graph = int8["demo-seg"]
    made = split_dense(Exported(graph, read_spec(graph)), tmp_path, lambda _: None)
    for file in made:
        assert file.spec is not None
        assert file.spec.precision == "int8"
        assert file.spec.parity is not None
        assert file.spec.parity.tolerance.items() >= BOUNDS["int8"].items()
        assert {node.op_type for node in onnx.load(str(file.path)).graph.node} >= QDQ
