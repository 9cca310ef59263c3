"""Helper graphs compared with OpenCV and numpy on every backend, and built as TensorRT-RTX plans."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from fastsam_engine import find_graph, open_session, read_spec
from fastsam_engine.device_array import HostArray
from fastsam_engine.session import Session
from fastsam_engine.spec.model_input import ArraysInput, ImageInput
from fastsam_engine.spec.spec_document import parse_spec
from fastsam_trt.bundled_models import locate
from fastsam_trt.cli.main import main
from fastsam_trt.clip.crops import clip_batch, square_windows
from fastsam_trt.demo.scenes import draw_scene
from fastsam_trt.frames import helper_inputs
from fastsam_trt.frames.antialiased_resize import AntialiasedResize
from fastsam_trt.frames.letterbox import Letterbox, fit
from fastsam_trt.frames.preprocess import FramePreprocessor
from fastsam_trt.masks.map_to_frame import MapToFrame
from fastsam_trt.masks.mask_source import paste
from fastsam_trt.masks.prototype import PrototypeMasks
from fastsam_trt.masks.prototype_on_device import DevicePrototypeMasks
from fastsam_trt.segmentation.families import Thresholds, decoder_for
from fastsam_trt.segmentation.prototype_decoder import PrototypeDecoder
from support import dense_demo
from support.typed import image_input

SIZES = [(300, 400), (720, 1280), (90, 70), (333, 641), (1200, 200), (17, 16)]
STRETCHED: dict[str, Any] = {
    "name": "pixel_values", "height": 96, "width": 128, "size_multiple": None, "resize": "stretch", "antialias": True,
    "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225),
}  # fmt: skip


SEGMENTER = read_spec(find_graph(dense_demo.FOLDER))
CLIP = read_spec(find_graph(locate("demo-clip"), "image"))
MODELS = {
    "letterbox": SEGMENTER,
    "stretch": dataclasses.replace(
        SEGMENTER, name="stretch", outputs=(), input=dataclasses.replace(image_input(SEGMENTER), **STRETCHED)
    ),
    "bicubic": dataclasses.replace(
        SEGMENTER, name="bicubic", outputs=(),
        input=dataclasses.replace(image_input(SEGMENTER), **STRETCHED, interpolation="bicubic", colour="BGR"),
    ),
    "clip": CLIP,
    "stretched": dataclasses.replace(
        CLIP, name="stretched",
        input=dataclasses.replace(image_input(CLIP), resize="stretch", interpolation="bilinear"),
    ),
}  # fmt: skip
GRAPHS = [
    "letterbox preprocess",
    "stretch preprocess",
    "bicubic preprocess",
    "letterbox decode",
    "clip crops",
    "stretched crops",
]


@pytest.fixture(scope="session")
def helpers(tmp_path_factory: pytest.TempPathFactory, export_extra: None) -> dict[str, Path]:
    """Model and task to helper graph."""
    from fastsam_export.helper_graphs import export_helpers

    made: dict[str, Path] = {}
    for model, spec in MODELS.items():
        for each in export_helpers(spec, tmp_path_factory.mktemp(model), lambda _: None):
            assert each.spec is not None
            assert read_spec(each.path) == each.spec
            assert each.path.name == f"{spec.name}.{each.spec.task}.onnx"
            made[f"{model} {each.spec.task}"] = each.path
    assert sorted(made) == sorted(GRAPHS)
    return made


def _open(path: Path, backend: str) -> Session:
    return open_session(path, backend, precision="fp32")


def _photo(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """Edges, flat parts and noise: (H, W, 3) uint8."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 256, (max(height // 11, 2), max(width // 11, 2), 3), np.uint8)
    photo = np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)
    photo[: height // 3] = np.rint(photo[: height // 3] / 64) * 64
    return np.asarray((photo + generator.normal(0, 5, photo.shape)).clip(0, 255), np.uint8)


def _levels(image: ImageInput, array: NDArray[np.float32]) -> NDArray[np.float64]:
    """A model's input (n, 3, h, w) in grey levels."""
    mean, std = np.asarray(image.mean)[:, None, None], np.asarray(image.std)[:, None, None]
    return np.asarray((array * std + mean) / image.scale, np.float64)


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_carries_its_spec(helpers: dict[str, Path], name: str, capsys: pytest.CaptureFixture[str]) -> None:
    spec = read_spec(helpers[name])
    key, task = name.split()
    model = MODELS[key]
    assert (spec.task, spec.name, spec.family) == (task, model.name, model.family)
    assert (spec.precision, spec.source.weights_sha256) == ("fp32", model.source.weights_sha256)
    assert parse_spec(spec.to_json()) == spec
    assert isinstance(spec.input, ArraysInput)
    letters = {axis for layout in spec.input.layouts for axis in layout.split() if not axis.isdigit()}
    assert spec.input.axes.keys() == letters
    assert all(low <= usual <= high for low, usual, high in spec.input.axes.values())
    assert spec.parity is not None
    assert spec.parity.worst.keys() == spec.parity.tolerance.keys()
    assert any("onnxruntime and openvino, against" in inputs for inputs in spec.parity.inputs)
    assert main(["info", str(helpers[name])]) == 0
    shown = capsys.readouterr().out
    assert all(each in shown for each in (*spec.input_names, *spec.input.layouts, spec.outputs[0].meaning))


@pytest.mark.parametrize("size", SIZES)
def test_a_letterboxed_frame_equals_opencvs(helpers: dict[str, Path], backend: str, size: tuple[int, int]) -> None:
    image = image_input(SEGMENTER)
    session = _open(helpers["letterbox preprocess"], backend)
    for given in (None, (160, 224)):
        frame = _photo(*size)
        expected, letterbox = FramePreprocessor(image, given).prepare(frame)
        coordinates = helper_inputs.frame_coordinates(letterbox)
        found = session.run({"frame": frame, **coordinates})[image.name]
        assert found.shape == expected.shape
        apart = np.abs(_levels(image, found) - _levels(image, expected))
        assert apart.max() <= 1.001
        assert apart.mean() <= 0.15
        padding = (coordinates["rows"] < 0)[:, None] | (coordinates["columns"] < 0)
        assert padding.mean() == pytest.approx(
            1 - letterbox.content_h * letterbox.content_w / letterbox.input_h / letterbox.input_w
        )
        np.testing.assert_allclose(_levels(image, found)[0, :, padding], image.pad_value, atol=1e-3)


def test_a_frame_of_the_inputs_size_is_not_resized(helpers: dict[str, Path], backend: str) -> None:
    image = image_input(SEGMENTER)
    frame = _photo(image.height, image.width)
    expected, letterbox = FramePreprocessor(image).prepare(frame)
    coordinates = helper_inputs.frame_coordinates(letterbox)
    found = _open(helpers["letterbox preprocess"], backend).run({"frame": frame, **coordinates})
    np.testing.assert_allclose(found[image.name], expected, atol=1e-6)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("model", ["stretch", "bicubic"])
def test_a_stretched_frame_equals_the_hosts(
    helpers: dict[str, Path], backend: str, model: str, size: tuple[int, int]
) -> None:
    image = image_input(MODELS[model])
    frame = _photo(*size)
    expected, letterbox = FramePreprocessor(image).prepare(frame)
    inputs: dict[str, np.ndarray] = {"frame": frame, **helper_inputs.stretch_weights(letterbox, image)}
    found = _open(helpers[f"{model} preprocess"], backend).run(inputs)[image.name]
    apart = np.abs(_levels(image, found) - _levels(image, expected))
    assert apart.max() <= 1.001  # sums in another order may round differently
    assert apart.mean() <= 0.01


def _windows(low: int, high: int, height: int, width: int) -> NDArray[np.intp]:
    """Windows around boxes whose longer sides run from `low` to `high` px, some clipped by the frame."""
    generator = np.random.default_rng(low)
    longer = np.exp(generator.uniform(np.log(low), np.log(high), (12, 1)))
    sides = longer * np.where(np.arange(2) == generator.integers(0, 2, (12, 1)), 1, generator.uniform(0.2, 1, (12, 1)))
    centres = generator.uniform(0, 1, (12, 2)) * [width, height]
    boxes = np.concatenate([centres - sides / 2, centres + sides / 2], axis=1).clip(0, [width, height] * 2)
    return square_windows(boxes.astype(np.float32), height, width)


@pytest.mark.parametrize("size", [(700, 900), (901, 333), (37, 80), (16, 16)])
@pytest.mark.parametrize("model", ["clip", "stretched"])
def test_crops_of_up_to_twice_clips_input_are_exact(
    helpers: dict[str, Path], backend: str, model: str, size: tuple[int, int]
) -> None:
    image = image_input(MODELS[model])
    frame = _photo(*size)
    height, width = size
    windows = _windows(2, 2 * image.height, height, width)
    rest = [[0, 0, 1, 1], [width - 1, height - 1, width, height], [0, 0, min(width, 90), 1], [3, 2, 4, min(height, 95)]]
    windows = np.concatenate([windows, np.array(rest)])
    found = _open(helpers[f"{model} crops"], backend).run({"frame": frame, "windows": windows.astype(np.float32)})
    apart = np.abs(_levels(image, found[image.name]) - _levels(image, clip_batch(frame, windows, image)))
    assert apart.max() <= 1.001
    assert apart.mean() <= 0.01


@pytest.mark.parametrize("size", [(720, 1280), (1001, 503)])
@pytest.mark.parametrize("model", ["clip", "stretched"])
def test_larger_crops_stay_close_and_embed_alike(
    helpers: dict[str, Path], backend: str, model: str, size: tuple[int, int]
) -> None:
    image = image_input(MODELS[model])
    session, tower = (
        _open(path, backend) for path in (helpers[f"{model} crops"], find_graph(locate("demo-clip"), "image"))
    )
    for seed in range(3):
        frame = draw_scene(seed, *size).frame
        windows = _windows(100, max(size), *size)
        assert ((windows[:, 2:] - windows[:, :2]).min(axis=1) > 2 * image.height).sum() >= 6
        found = session.run({"frame": frame, "windows": windows.astype(np.float32)})[image.name]
        expected = clip_batch(frame, windows, image)
        assert np.abs(_levels(image, found) - _levels(image, expected)).mean(axis=(1, 2, 3)).max() <= 3
        a, b = (tower.run({image.name: each})[CLIP.outputs[0].name] for each in (found, expected))
        assert (a * b).sum(axis=1).min() >= 0.999


def _packed(
    session: Session, letterbox: Letterbox, prototypes: NDArray[Any], coefficients: NDArray[Any], boxes: NDArray[Any]
) -> NDArray[np.uint8]:
    coordinates = helper_inputs.prototype_coordinates(letterbox, *prototypes.shape[2:])
    given = {"prototypes": prototypes, "coefficients": coefficients, "boxes": boxes, **coordinates}
    packed = session.run(given)["masks"]
    assert (packed.shape, packed.dtype) == ((len(boxes), letterbox.frame_h, -(-letterbox.frame_w // 8)), np.uint8)
    return packed


@pytest.mark.parametrize("size", SIZES)
def test_masks_equal_the_hosts_bit_by_bit(helpers: dict[str, Path], backend: str, size: tuple[int, int]) -> None:
    """Except where logits are so close to zero that the order of a sum decides."""
    height, width = size
    generator = np.random.default_rng(height)
    letterbox = fit(height, width, image_input(SEGMENTER))
    cells = letterbox.input_h // 4, letterbox.input_w // 4
    prototypes = generator.normal(size=(1, 32, *cells)).astype(np.float32)
    coefficients = generator.normal(size=(9, 32)).astype(np.float32)
    corners = np.sort(generator.uniform(0, 1, (9, 2, 2)), axis=1)
    corners[0] = [[0, 0], [1, 1]]
    corners[1, 1] = corners[1, 0]  # empty
    boxes = (corners * [width, height]).reshape(9, 4).astype(np.float32)
    boxes[2] = np.rint(boxes[2])  # on the edges between pixels
    plain = PrototypeMasks(prototypes[0], coefficients, boxes, MapToFrame(letterbox, *cells))
    expected = paste(plain.decode(range(9)), height, width)
    packed = _packed(_open(helpers["letterbox decode"], backend), letterbox, prototypes, coefficients, boxes)
    found = helper_inputs.unpack_masks(packed, width)
    assert (found.shape, found.dtype) == (expected.shape, bool)
    assert expected[0].any()
    assert (found == expected).mean() >= 0.99999
    filling = np.unpackbits(packed, axis=2)[:, :, width:]
    assert not filling.any()
    np.testing.assert_array_equal(packed, np.packbits(found, axis=2))


def test_masks_of_a_scene_equal_the_hosts(helpers: dict[str, Path], backend: str) -> None:
    frame = draw_scene(3, 480, 637).frame
    segmenter = _open(find_graph(dense_demo.FOLDER), "onnxruntime")
    array, letterbox = FramePreprocessor(image_input(SEGMENTER)).prepare(frame)
    outputs = segmenter.run({segmenter.spec.input_names[0]: array})
    decoder = decoder_for(segmenter, pytest.fail)
    segments = decoder.decode(outputs, letterbox, Thresholds(conf=0.3, iou=0.7, max_segments=50))
    assert len(segments.boxes) >= 3
    expected = paste(segments.masks.decode(range(len(segments.boxes))), *frame.shape[:2])
    prototypes = outputs[next(each.name for each in SEGMENTER.outputs if each.meaning == "mask-prototypes")]
    coefficients = cast("PrototypeMasks", segments.masks)._coefficients
    session = _open(helpers["letterbox decode"], backend)
    packed = _packed(session, letterbox, prototypes, coefficients, segments.boxes)
    found = helper_inputs.unpack_masks(packed, frame.shape[1])
    ious = (found & expected).sum(axis=(1, 2)) / (found | expected).sum(axis=(1, 2))
    assert ious.mean() >= 0.9999


@pytest.fixture(scope="session")
def earlier_decode(helpers: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An older decode graph, without fine cells: rows and columns are positions in the prototypes."""
    import onnx

    from fastsam_export.onnx_file import write_spec

    spec = read_spec(helpers["letterbox decode"])
    assert isinstance(spec.input, ArraysInput)
    model = onnx.load(helpers["letterbox decode"])
    nodes = [onnx.helper.make_node("Shape", ["prototypes"], ["shape"])]
    for name, axis in (("row_cells", 2), ("column_cells", 3)):
        nodes += [
            onnx.helper.make_node("Constant", [], [f"{name}.axis"], value_int=axis),
            onnx.helper.make_node("Gather", ["shape", f"{name}.axis"], [f"{name}.count"]),
            onnx.helper.make_node("Constant", [], [f"{name}.first"], value_int=0),
            onnx.helper.make_node("Constant", [], [f"{name}.step"], value_int=1),
            onnx.helper.make_node("Range", [f"{name}.{each}" for each in ("first", "count", "step")], [f"{name}.all"]),
            onnx.helper.make_node("Cast", [f"{name}.all"], [name], to=onnx.TensorProto.FLOAT),
        ]
    whole = [*nodes, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(whole)
    kept = [each for each in model.graph.input if each.name not in ("row_cells", "column_cells")]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    fits = [name not in ("row_cells", "column_cells") for name in spec.input.names]
    taken = dataclasses.replace(
        spec.input,
        names=tuple(each for each, fit_ in zip(spec.input.names, fits, strict=True) if fit_),
        layouts=tuple(each for each, fit_ in zip(spec.input.layouts, fits, strict=True) if fit_),
        dtypes=tuple(each for each, fit_ in zip(spec.input.dtypes, fits, strict=True) if fit_),
        axes={letter: range_ for letter, range_ in spec.input.axes.items() if letter not in "rq"},
    )
    path = tmp_path_factory.mktemp("earlier") / "demo-seg.decode.onnx"
    onnx.save(model, path)
    write_spec(path, dataclasses.replace(spec, input=taken))
    return path


@pytest.mark.parametrize(("size", "least"), [((720, 1280), 0.99999), ((333, 641), 0.98)])
def test_older_decode_graphs_still_work(
    earlier_decode: Path, backend: str, size: tuple[int, int], least: float
) -> None:
    letterbox = fit(*size, image_input(SEGMENTER))
    generator = np.random.default_rng(5)
    cells = letterbox.input_h // 4, letterbox.input_w // 4
    prototypes = np.full((1, 32, *cells), -1e3, np.float32)
    rows, columns = MapToFrame(letterbox, *cells).content
    inside = prototypes[0, :, rows, columns]
    inside[:] = generator.normal(size=inside.shape)
    inside[0] = 20  # every mask would be full without the noise
    coefficients = np.abs(generator.normal(size=(4, 32))).astype(np.float32)
    boxes = np.tile(np.array([0, 0, size[1], size[0]], np.float32), (4, 1))
    decoder = decoder_for(_open(find_graph(dense_demo.FOLDER), backend), pytest.fail)
    assert isinstance(decoder, PrototypeDecoder)
    decoder.use_device_decode(_open(earlier_decode, backend))
    on_device = decoder.masks(HostArray(prototypes), coefficients, boxes, letterbox)
    on_host = decoder.masks(prototypes, coefficients, boxes, letterbox)
    assert isinstance(on_device, DevicePrototypeMasks)
    found, expected = (paste(each.decode(range(4)), *size) for each in (on_device, on_host))
    assert expected.any()
    assert (found == expected).mean() >= least


def test_coordinates_of_a_padded_frame() -> None:
    letterbox = Letterbox(frame_h=4, frame_w=9, input_h=4, input_w=8, content_h=2, content_w=5, top=1, left=2)
    coordinates = helper_inputs.frame_coordinates(letterbox)
    np.testing.assert_allclose(coordinates["rows"], [-1, 0.5, 2.5, -1])
    np.testing.assert_allclose(coordinates["columns"], [-1, -1, 0.4, 2.2, 4.0, 5.8, 7.6, -1])
    coordinates = helper_inputs.prototype_coordinates(letterbox, 2, 4)
    np.testing.assert_allclose(coordinates["row_cells"], [0.25, 0.75])  # twice as fine, to cut off the padding
    np.testing.assert_allclose(coordinates["rows"], [0, 0.25, 0.75, 1])
    assert coordinates["row_numbers"].tolist() == [0, 1, 2, 3]
    assert coordinates["columns"].shape == (16,)
    assert coordinates["column_numbers"].tolist() == [*range(9), *[-1] * 7]
    assert {each.dtype for each in coordinates.values()} == {np.dtype(np.float32)}
    plain = MapToFrame(letterbox, 2, 4)
    ramp = np.arange(4, dtype=np.float32)[None, None].repeat(2, axis=1)
    _, read = plain.reach(0, 0, 9, 4)
    columns = np.interp(
        coordinates["columns"][:9], np.arange(len(coordinates["column_cells"])), coordinates["column_cells"]
    )
    np.testing.assert_allclose(plain.window(ramp[..., read], 0, 0, 9, 4)[0, 0], columns, atol=1e-6)


def test_stretch_weights_equal_the_resize() -> None:
    image = image_input(MODELS["bicubic"])
    frame = _photo(40, 333)
    weights = helper_inputs.stretch_weights(fit(40, 333, image), image)
    rows, columns = weights["row_weights"], weights["column_weights"]
    assert (rows.shape, columns.shape) == ((image.height, 40), (image.width, 333))
    np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-5)
    narrow = np.rint(frame.transpose(2, 0, 1) @ columns.T).clip(0, 255)
    expected = AntialiasedResize("bicubic", (40, 333), (image.height, image.width)).resize(frame)
    assert np.abs(np.rint(rows @ narrow).clip(0, 255) - expected).max() <= 1


def test_a_graph_that_computes_something_else_is_refused(
    tmp_path: Path, export_extra: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fastsam_export.errors import ParityError
    from fastsam_export.helper_graphs import export_helpers, preprocess
    from fastsam_export.helper_graphs.steps import interpolated as real

    monkeypatch.setattr(preprocess, "interpolated", lambda graph, values, places, **axes: real(
        graph, values, graph.Floor(places), **axes
    ))  # fmt: skip
    with pytest.raises(ParityError, match=r"demo-seg\.preprocess\.onnx: expected the same outputs as OpenCV"):
        export_helpers(SEGMENTER, tmp_path, lambda _: None)


def test_a_text_tower_has_no_helper_graph(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    from fastsam_export.helper_graphs import export_helpers

    assert export_helpers(read_spec(find_graph(locate("demo-clip"), "text")), tmp_path, lambda _: None) == []
    assert not list(tmp_path.glob("*.onnx"))


@pytest.mark.parametrize("name", GRAPHS)
def test_tensorrt_rtx_builds_a_plan(helpers: dict[str, Path], name: str) -> None:
    """A plan for the ranges of the spec; needs no GPU."""
    trt = pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")
    taken = read_spec(helpers[name]).input
    assert isinstance(taken, ArraysInput)
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, logger)
    assert parser.parse_from_file(str(helpers[name])), [str(parser.get_error(i)) for i in range(parser.num_errors)]
    config = builder.create_builder_config()
    targets = trt.ComputeCapability.SM86, trt.ComputeCapability.SM89, trt.ComputeCapability.SM120
    config.num_compute_capabilities = len(targets)
    for index, target in enumerate(targets):
        config.set_compute_capability(target, index)
    profile = builder.create_optimization_profile()
    for each, layout in zip(taken.names, taken.layouts, strict=True):
        lengths = [(int(axis),) * 3 if axis.isdigit() else taken.axes[axis] for axis in layout.split()]
        profile.set_shape(each, *zip(*lengths, strict=True))
    config.add_optimization_profile(profile)
    assert builder.build_serialized_network(network, config) is not None
