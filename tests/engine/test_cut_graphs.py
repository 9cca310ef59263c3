"""Test sessions of a model that was cut into parts: the same results on every backend, whatever the shapes."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from fastsam_engine import Session, find_graph, open_session
from support import colour_models, cut_models

SIZE = (96, 128)  # height, width, px
CORNERS = {s: [(0, 0), (0, SIZE[1] // s - 1), (SIZE[0] // s - 1, 0), (3, 2)] for s in cut_models.STRIDES}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the three graphs of a model."""
    cut_models.save_model(tmp_path)
    return tmp_path


def _open(folder: Path, part: str, backend: str) -> Session:
    return open_session(find_graph(folder, part), backend, precision="fp32")


def _features(folder: Path, backend: str, count: int = 1) -> dict[int, np.ndarray]:
    images = np.random.default_rng(count).random((count, 3, *SIZE), np.float32)
    outputs = _open(folder, "", backend).run({"images": images})
    return {stride: outputs[f"features_{stride}"] for stride in cut_models.STRIDES}


def _mask_inputs(inputs: dict[str, np.ndarray], rows: range, columns: range) -> dict[str, np.ndarray]:
    return {**inputs, "rows": np.array(rows), "columns": np.array(columns)}


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
    assert whole.shape == (1, 2 * height, 2 * width, cut_models.COEFFICIENTS)
    margin = cut_models.MARGIN
    part = session.run(_mask_inputs(inputs, range(2, 9), range(3, width)))["prototypes"]
    inner = whole[:, 2 * (2 + margin) : 2 * (9 - margin), 2 * (3 + margin) :]
    np.testing.assert_allclose(part[:, 2 * margin : -2 * margin, 2 * margin :], inner, atol=1e-5)


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
