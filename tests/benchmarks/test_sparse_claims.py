"""The claims about sparse computation, on small models: sides in processes, cases, drawings and measures."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import fastsam_trt
from claims import sparse_compute, sparse_exact, sparse_stream
from claims.common import harness
from claims.common.dense_and_sparse import add_side_options, chosen_pair, open_sides
from claims.common.edge_scenes import draw_edge_scenes
from claims.common.photos import list_photos, save_frame, tile
from claims.common.side_process import SideProcess, environment
from fastsam_trt import Pipeline
from support import colour_models

pytest.importorskip("onnxruntime")

_SHAPES = (("red", 1, 1), ("red", 1, 4), ("red", 4, 1), ("green", 4, 4), ("green", 6, 6))
_OPTIONS: dict[str, Any] = {"backend": "onnxruntime", "precision": "fp32"}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small dense segmenter of colours."""
    path = tmp_path_factory.mktemp("model") / "colours.onnx"
    return colour_models.save(colour_models.segmenter_graph(), path, colour_models.segmenter_spec())


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photos") / "scene.png"
    cv2.imwrite(str(path), colour_models.scene(*_SHAPES))
    return path


@pytest.fixture(scope="module")
def side(model: Path, photo: Path) -> Iterator[SideProcess]:
    with SideProcess(model, {**_OPTIONS, "selector": "labels"}) as opened:
        opened.show(photo)
        yield opened


def _args(*given: str, model: Path) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_side_options(parser)
    harness.add_options(parser, rounds=1, warmup=0)
    return parser.parse_args(["--dense", str(model), "--sparse", str(model), "--backend", "onnxruntime", *given])


# --- the sides ----------------------------------------------------------------------------------------------------


def test_a_side_answers_as_the_pipeline_in_this_process(side: SideProcess, model: Path, photo: Path):
    frame = cv2.imread(str(photo))
    assert frame is not None
    with Pipeline(model, **_OPTIONS) as pipeline:
        expected = pipeline(frame, rectangle="smallest")
    assert len(expected) > 0
    found = side.case({})
    assert side.opened["package"] == str(Path(fastsam_trt.__file__).parent)
    assert found["segments"] == len(expected)
    assert found["classes"] == expected.class_ids.tolist()
    np.testing.assert_allclose(found["boxes"], expected.boxes)
    assert side.time_ms() > 0


def test_a_case_sets_the_prompt_and_the_segments_that_get_masks(side: SideProcess):
    everything = side.case({})["segments"]
    names = side.opened["class_names"]
    assert side.case({"prompts": [names[0]]})["segments"] < everything
    assert side.case({}, 0)["segments"] == everything
    assert side.case({}, 1)["segments"] == everything
    assert side.time_ms() > 0


def test_the_memory_of_a_side_is_sampled_over_the_frames(side: SideProcess, photo: Path):
    resident_kb, peak_kb = side.memory([photo], 7)
    assert len(resident_kb) == 7
    assert 10_000 < min(resident_kb) <= max(resident_kb) <= peak_kb


def test_a_side_reports_its_errors_and_goes_on(side: SideProcess, photo: Path):
    with pytest.raises(harness.BenchmarkError, match=r"case: .*conf"):
        side.case({"conf": 7})
    side.show(photo)
    assert side.case({})["segments"] > 0


def test_a_side_that_cannot_open_its_model_says_why(tmp_path: Path):
    with pytest.raises(harness.BenchmarkError, match="open: ModelNotFoundError"):
        SideProcess(tmp_path / "none.onnx", {})


def test_a_side_runs_the_packages_of_another_folder(tmp_path: Path, model: Path):
    package = tmp_path / "runtime" / "fastsam_trt"
    for folder in (package, package / "frames", package / "masks"):
        folder.mkdir(parents=True)
    (package / "__init__.py").write_text("class Pipeline:\n    def __init__(self, *_, **__): raise OSError('older')\n")
    (package / "frames" / "image.py").write_text("read_image = None\n")
    (package / "masks" / "mask_source.py").write_text("paste = None\n")
    with pytest.raises(harness.BenchmarkError, match="open: OSError: older"):
        SideProcess(model, {}, tmp_path)
    with pytest.raises(harness.BenchmarkError, match="found no fastsam_trt"):
        environment(tmp_path / "runtime" / "fastsam_trt")


def test_both_sides_are_timed_on_one_case(model: Path, photo: Path):
    args = _args(model=model)
    args.compute = "dense"  # all that a dense graph can compute
    with open_sides(*chosen_pair(args), args) as sides:
        sides.show(photo)
        found = sides.compare({}, args)
    assert found["dense segments"] == found["sparse segments"] > 0
    assert found["ratio"] == pytest.approx(found["sparse ms"] / found["dense ms"])


def test_one_model_of_a_pair_is_refused(model: Path):
    args = _args(model=model)
    args.sparse = None
    with pytest.raises(harness.BenchmarkError, match="together"):
        chosen_pair(args)


# --- the cases ----------------------------------------------------------------------------------------------------


def test_the_cases_of_a_photo_are_those_that_it_shows(side: SideProcess):
    cases = list(sparse_compute._cases(side, 0.001))
    by_case = {case: [what for each, what, _ in cases if each == case] for case, _, _ in cases}
    counts = side.case({})
    present = {side.opened["class_names"][class_id] for class_id in counts["classes"]}
    assert set(by_case["one class, 1 to 5 objects"]) <= present
    (absent,) = by_case["prompt absent"]
    assert absent not in present
    assert side.case({"prompts": [absent]})["segments"] == 0
    assert ("everything, 5 to 10 segments" in by_case) == (5 <= counts["segments"] <= 10)


def test_a_threshold_is_found_that_leaves_the_wanted_segments(side: SideProcess):
    everything = side.case({})["segments"]
    _, found = sparse_compute.conf_for(side, everything)
    assert found["segments"] == everything
    with pytest.raises(harness.BenchmarkError, match="about 5000 segments"):
        sparse_compute.conf_for(side, 5000)


def test_memory_is_compared_after_the_warm_up():
    assert sparse_stream.first_and_last([900] * 10 + [100] * 80 + [110] * 10) == (100, 110)
    assert sparse_stream.first_and_last([5, 6]) == (6, 6)


# --- exactness ----------------------------------------------------------------------------------------------------


def test_edge_scenes_have_an_object_in_each_corner_and_at_each_edge():
    frames = draw_edge_scenes()
    assert len({frame.shape for frame in frames}) == 5
    for first, second in zip(draw_edge_scenes(), frames, strict=True):
        np.testing.assert_array_equal(first, second)


def test_differences_are_counted(model: Path, photo: Path):
    frame = cv2.imread(str(photo))
    assert frame is not None
    with Pipeline(model, **_OPTIONS) as pipeline:
        everything, fewer = pipeline(frame), pipeline(frame, max_selected=1)
        same = sparse_exact.Difference()
        same.add(everything, everything)
        other = sparse_exact.Difference()
        other.add(everything, fewer)
    assert (same.segments, same.other_detections, same.box_px, same.mask_px) == (len(everything), 0, 0.0, 0)
    assert other.other_detections == 1
    assert sparse_exact.box_errors(everything, everything) == [0.0] * len(everything)
    assert sparse_exact.box_errors(everything, fewer) == [0.0]


def test_sparse_and_dense_are_compared_in_each_mode(tmp_path: Path, model: Path, photo: Path, monkeypatch, capsys):
    """Both sides are the same dense model, whose only mode is the dense one."""
    monkeypatch.setattr(sparse_exact, "COMPUTE_NAMES", ("dense",))
    monkeypatch.setattr(sparse_exact, "_BACKENDS", ("onnxruntime",))
    argv = ["sparse_exact.py", str(photo), "--pair", str(model), str(model), "--scenes", "2", "--no-bf16"]
    monkeypatch.setattr(sys, "argv", [*argv, "--json", str(tmp_path / "rows.jsonl")])
    assert sparse_exact.main() == 0
    shown = capsys.readouterr().out
    assert "frames with other detections: 0 (bound == 0)" in shown
    assert '"backend": "onnxruntime"' in (tmp_path / "rows.jsonl").read_text()


# --- frames -------------------------------------------------------------------------------------------------------


def test_photos_are_listed_from_files_and_folders(tmp_path: Path, photo: Path):
    (photo.parent / "notes.txt").write_text("no photo")
    assert list_photos([photo.parent, photo]) == [photo, photo]
    with pytest.raises(harness.BenchmarkError, match="expected photos"):
        list_photos([tmp_path])


def test_a_frame_is_tiled_with_a_photo_of_its_height(tmp_path: Path, photo: Path):
    frame = np.arange(4 * 3 * 3, dtype=np.uint8).reshape(4, 3, 3)
    np.testing.assert_array_equal(tile(frame, 4, 7), np.concatenate([frame, frame, frame[:, :1]], axis=1))
    saved = cv2.imread(str(save_frame(tmp_path, "vga", photo, 48, 64)))
    assert saved is not None
    assert saved.shape == (48, 64, 3)
