"""Test sessions of a model that was cut into parts: the same results on every backend, whatever the shapes."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastsam_engine import Session, find_graph, open_session, read_spec
from fastsam_engine.backends.onnxruntime.backend import open_bound
from fastsam_engine.backends.onnxruntime.devices import Device
from fastsam_engine.session import OpenOptions
from fastsam_engine.spec.family_parts import check_part
from fastsam_engine.store.model_store import sibling_graph
from fastsam_trt.cli.main import main
from support import colour_models, cut_models
from support.typed import image_input

PARTS = ("", "heads", "masks")

SIZE = (96, 128)  # height, width, px
CORNERS = {s: [(0, 0), (0, SIZE[1] // s - 1), (SIZE[0] // s - 1, 0), (3, 2)] for s in cut_models.STRIDES}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the three graphs of a model."""
    cut_models.save_model(tmp_path)
    return tmp_path


def _open(folder: Path, part: str, backend: str) -> Session:
    return open_session(find_graph(folder, part), backend, precision="fp32")


def _bound(folder: Path, part: str, **options: bool) -> Session:
    """The session that GPUs get, on the CPU."""
    graph = find_graph(folder, part)
    return open_bound(graph, read_spec(graph), Device("cpu"), "fp32", OpenOptions(**options))


def _features(folder: Path, backend: str, count: int = 1) -> dict[int, np.ndarray]:
    images = np.random.default_rng(count).random((count, 3, *SIZE), np.float32)
    outputs = _open(folder, "", backend).run({"images": images})
    return {stride: outputs[f"features_{stride}"] for stride in cut_models.STRIDES}


def _mask_inputs(inputs: dict[str, np.ndarray], rows: range, columns: range) -> dict[str, np.ndarray]:
    """The inputs of the masks for one tile of the map, with its margin."""
    _, height, width, _ = inputs[f"features_{cut_models.STRIDES[0]}"].shape
    y, x = (np.arange(wanted.start - cut_models.MARGIN, wanted.stop + cut_models.MARGIN) for wanted in (rows, columns))
    cells = y.clip(0, height - 1)[:, None] * width + x.clip(0, width - 1)
    inside = ((y >= 0) & (y < height))[:, None] & ((x >= 0) & (x < width))
    return {**inputs, "tile_cells": cells[None], "tile_inside": inside[None].astype(np.float32)}


def test_the_trunk_gives_what_its_spec_says(folder: Path, backend: str) -> None:
    images = np.random.default_rng(0).random((2, 3, *SIZE), np.float32)
    session = _open(folder, "", backend)
    outputs = session.run({"images": images})
    anchors = sum(SIZE[0] // s * (SIZE[1] // s) for s in cut_models.STRIDES)
    assert (outputs["best_logits"].shape, outputs["best_logits"].dtype) == ((2, anchors), np.float32)
    assert (outputs["class_ids"].shape, outputs["class_ids"].dtype) == ((2, anchors), np.int32)
    assert outputs["features_16"].shape == (2, SIZE[0] // 16, SIZE[1] // 16, cut_models.CHANNELS)
    plain = _open(folder, "", "onnxruntime").run({"images": images})
    assert (outputs["class_ids"] == plain["class_ids"]).all()
    for index in range(2):
        alone = session.run({"images": images[index : index + 1]})
        for name, array in alone.items():
            np.testing.assert_allclose(array[0], plain[name][index], atol=1e-5)


def test_patches_give_what_whole_levels_give(folder: Path, backend: str) -> None:
    features = _features(folder, backend)
    session = _open(folder, "heads", backend)
    every = session.run(cut_models.whole_levels(features))["boxes"]
    rows, first = [], 0
    for stride, anchors in CORNERS.items():
        height, width = features[stride].shape[1:3]
        rows += [first + row * width + column for row, column in anchors]
        first += height * width
    found = session.run(cut_models.patches(CORNERS, features))["boxes"]
    assert every.std() > 0.1
    np.testing.assert_allclose(found, every[rows], atol=1e-5)


def test_parts_of_the_prototypes_are_those_of_the_whole_map(folder: Path, backend: str) -> None:
    features = _features(folder, backend)
    inputs = cut_models.patches(CORNERS, features)
    session = _open(folder, "masks", backend)
    height, width = (px // 8 for px in SIZE)
    whole = session.run(_mask_inputs(inputs, range(height), range(width)))["prototypes"]
    assert whole.shape == (1, cut_models.COEFFICIENTS, 2 * height, 2 * width)
    part = session.run(_mask_inputs(inputs, range(2, 9), range(3, width)))["prototypes"]
    np.testing.assert_allclose(part, whole[:, :, 4:18, 6:], atol=1e-5)
    tiles = [_mask_inputs(inputs, range(top, top + 4), range(left, left + 5)) for top, left in ((0, 0), (3, 2))]
    both = {name: np.concatenate([each[name] for each in tiles]) for name in ("tile_cells", "tile_inside")}
    found = session.run({**inputs, **both})["prototypes"]
    np.testing.assert_allclose(found[0], whole[0, :, :8, :10], atol=1e-5)
    np.testing.assert_allclose(found[1], whole[0, :, 6:14, 4:14], atol=1e-5)


def test_no_later_run_overwrites_what_was_returned(folder: Path, backend: str) -> None:
    features = _features(folder, backend)
    inputs = cut_models.patches(CORNERS, features)
    session = _open(folder, "masks", backend)
    first = session.run(_mask_inputs(inputs, range(4), range(5)))
    copies = {name: array.copy() for name, array in first.items()}
    other = {name: array * 2 if name.startswith("features") else array for name, array in inputs.items()}
    second = session.run(_mask_inputs(other, range(4), range(5)))
    session.run(_mask_inputs(other, range(8), range(9)))
    for name, array in copies.items():
        assert (first[name] == array).all()
        assert not np.allclose(second[name], array)


def test_threads_with_different_shapes_get_their_own_results(folder: Path, backend: str) -> None:
    features = _features(folder, backend)
    session = _open(folder, "heads", backend)
    anchors = [{s: CORNERS[s][:count] for s in cut_models.STRIDES} for count in (1, 2, 3, 4)]
    inputs = [cut_models.patches(each, features) for each in anchors]
    expected = [session.run(each)["boxes"] for each in inputs]
    wrong: list[int] = []

    def work(index: int) -> None:
        for _ in range(50):
            if not np.array_equal(session.run(inputs[index])["boxes"], expected[index]):
                wrong.append(index)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(inputs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_parts_compute_in_the_precision_of_the_model(folder: Path) -> None:
    pytest.importorskip("openvino")
    trunk, heads, masks = (open_session(find_graph(folder, part), "openvino") for part in ("", "heads", "masks"))
    assert trunk.precision == heads.precision == masks.precision


def test_prototypes_of_openvino_have_the_channels_last_in_memory() -> None:
    pytest.importorskip("openvino")
    pictures = np.stack([colour_models.scene(("red", 2, 2)), colour_models.scene(("blue", 1, 1))])
    session, plain = (
        open_session(find_graph("colours"), name, precision="fp32") for name in ("openvino", "onnxruntime")
    )
    images = np.ascontiguousarray(pictures[..., ::-1].transpose(0, 3, 1, 2), np.float32) / 255
    for batch in (images, images[:1]):
        found, expected = session.run({"images": batch})["output1"], plain.run({"images": batch})["output1"]
        assert found.shape == expected.shape
        assert found.transpose(0, 2, 3, 1).flags.c_contiguous
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_kept_features_feed_heads_without_a_copy(folder: Path, bound_inputs: list[tuple[str, int]]) -> None:
    trunk, heads, masks = (_bound(folder, part) for part in ("", "heads", "masks"))
    images = np.random.default_rng(0).random((1, 3, *SIZE), np.float32)
    names = [f"features_{stride}" for stride in cut_models.STRIDES]
    fetched, kept = trunk.run_kept({"images": images}, names)
    assert fetched.keys() == {"best_logits", "class_ids"}
    features = {stride: kept[f"features_{stride}"].to_host() for stride in cut_models.STRIDES}
    patches = cut_models.patches(CORNERS, features)
    for session, inputs in ((heads, patches), (masks, _mask_inputs(patches, range(5), range(6)))):
        plain = open_session(session.path, "onnxruntime").run(inputs)
        bound_inputs.clear()
        found, _ = session.run_kept({**inputs, **kept}, [])
        addresses = dict(bound_inputs)
        for name in names:
            array: Any = kept[name]
            assert addresses[name] == array.value.data_ptr()
        for name, array in plain.items():
            np.testing.assert_allclose(found[name], array, atol=1e-6)


def test_recorded_runs_of_a_ladder_give_each_shape_its_results(folder: Path) -> None:
    """The buffers of recorded runs, on the CPU, where nothing is recorded."""
    features = _features(folder, "onnxruntime")
    session, plain = _bound(folder, "heads", cuda_graph=True), _open(folder, "heads", "onnxruntime")
    assert session.prefers_few_shapes
    for count in (4, 1, 4, 2, 1, 4):
        anchors = {stride: each[:count] for stride, each in CORNERS.items()}
        inputs = cut_models.patches(anchors, features)
        kept = {name: session.upload(array) for name, array in inputs.items() if name.startswith("features")}
        found, _ = session.run_kept({**inputs, **kept}, [])
        np.testing.assert_allclose(found["boxes"], plain.run(inputs)["boxes"], atol=1e-6)


def test_numbers_of_patches_that_come_back_are_not_bound_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recording for every set of shapes would be made again otherwise."""
    onnxruntime = pytest.importorskip("onnxruntime")
    bindings: list[object] = []
    real = onnxruntime.InferenceSession.io_binding
    monkeypatch.setattr(
        onnxruntime.InferenceSession, "io_binding", lambda session: bindings.append(session) or real(session)
    )
    features = _features(folder, "onnxruntime")
    session = _bound(folder, "heads", cuda_graph=True)
    counts = list(itertools.product((1, 2, 3, 4), repeat=2))  # of the two levels
    for _ in range(2):
        for pair in counts:
            anchors = {s: CORNERS[s][:count] for s, count in zip(cut_models.STRIDES, pair, strict=True)}
            session.run(cut_models.patches(anchors, features))
    assert len(bindings) == len(counts)


def test_build_builds_all_graphs_of_a_cut_model(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino")
    expected = [open_session(find_graph(folder, part), "openvino").spec.export_id for part in PARTS]
    assert len(set(expected)) == 1
    assert main(["build", str(folder), "--backend", "openvino", "--imgsz", "96", "128", "--batch", "2"]) == 0
    out = capsys.readouterr().out
    assert {"cut.onnx", "cut.heads.onnx", "cut.masks.onnx"} <= set(out.split())
    compiled: list[object] = []
    import openvino

    compile_model = openvino.Core.compile_model
    monkeypatch.setattr(openvino.Core, "compile_model", lambda *given: compiled.append(given) or compile_model(*given))
    features = _features(folder, "onnxruntime")
    inputs = cut_models.patches(CORNERS, features)
    heads, masks = (open_session(find_graph(folder, part), "openvino") for part in ("heads", "masks"))
    assert heads.run(inputs)["boxes"].shape == (8, cut_models.DISTANCES)
    assert masks.run(_mask_inputs(inputs, range(4), range(5)))["prototypes"].shape[2:] == (8, 10)
    assert not compiled


def test_build_makes_plans_of_all_graphs_of_a_cut_model(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="pip install 'fastsam-trt[tensorrt-rtx]'")
    out = tmp_path / "plans"
    size = ["--imgsz", "96", "128", "--batch", "2", "4"]
    assert main(["build", str(folder), "--target", "sm86", "sm89", "sm120", "--out", str(out), *size]) == 0
    specs = {part: read_spec(sibling_graph(out / "cut.plan", part) if part else out / "cut.plan") for part in PARTS}
    assert image_input(specs[""]).batch == (1, 4)
    for part in ("heads", "masks"):
        check_part(out / "cut.plan", specs[""], sibling_graph(out / "cut.plan", part), specs[part])


def test_inputs_may_have_any_strides_and_be_read_only(folder: Path, backend: str) -> None:
    features = _features(folder, backend)
    inputs = cut_models.patches(CORNERS, features)
    session = _open(folder, "heads", backend)
    expected = session.run(inputs)["boxes"]
    strided = {name: np.repeat(array, 2, axis=-1)[..., ::2] for name, array in inputs.items()}
    assert not strided["cells_8"].flags.c_contiguous
    np.testing.assert_array_equal(session.run(strided)["boxes"], expected)
    for array in inputs.values():
        array.flags.writeable = False
    np.testing.assert_array_equal(session.run(inputs)["boxes"], expected)
