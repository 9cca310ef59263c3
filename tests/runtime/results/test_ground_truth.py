"""Ids from annotation files: images by file name, categories by name, and errors for missing ones."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from fastsam_trt.errors import GroundTruthError
from fastsam_trt.results.categories import Categories
from fastsam_trt.results.ground_truth import GroundTruth
from fastsam_trt.results.result import Result
from support.made_results import hard_masks, made_result

CATEGORIES = {3: "Cat", 7: "dog", 9: "traffic light"}


def _truth(path: Path, images: dict[int, str], categories: dict[int, str] | None = None) -> GroundTruth:
    named = CATEGORIES if categories is None else categories
    data = {
        "images": [{"id": image_id, "file_name": name} for image_id, name in images.items()],
        "categories": [{"id": category_id, "name": name} for category_id, name in named.items()],
        "annotations": [],
    }
    path.write_text(json.dumps(data))
    return GroundTruth(path)


@pytest.mark.parametrize(("images", "file", "expected"), [
    ({8: "aa_jpg.rf.00c8e1f3.jpg"}, "in/aa_jpg.rf.00c8e1f3.jpg", 8),
    ({8: "val/1.jpg", 9: "train/1.jpg"}, "/data/train/1.jpg", 9),
    ({8: "val/1.jpg", 9: "1.jpg"}, "/data/val/1.jpg", 8),
    ({8: "val/1.jpg", 9: "1.jpg"}, "/data/other/1.jpg", 9),
    ({8: "images/val/1.jpg"}, "1.jpg", 8),
    ({8: "./val/1.jpg"}, "val/1.jpg", 8),
    ({8: "val\\1.jpg", 9: "train\\1.jpg"}, "train/1.jpg", 9),
    ({8: "cafe\u0301.jpg"}, "caf\u00e9.jpg", 8),
    ({0: "0.jpg", -5: "5.jpg"}, "5.jpg", -5),
])  # fmt: skip
def test_images_by_file_name(tmp_path: Path, images: dict[int, str], file: str, expected: int) -> None:
    assert _truth(tmp_path / "truth.json", images).image_ids([Path(file)]) == {Path(file): expected}


@pytest.mark.parametrize(("images", "files", "message"), [
    ({8: "1.jpg"}, ["a/2.jpg", "a/1.jpg", "a/3.jpg"], "an image for each file, found none for a/2.jpg and 1 more"),
    ({8: "1.jpg"}, ["a/1.JPG"], "none for a/1.JPG"),
    ({8: "a/1.jpg", 9: "b/1.jpg"}, ["1.jpg"], "expected one image that matches 1.jpg, found a/1.jpg and b/1.jpg"),
    ({8: "1.jpg"}, ["a/1.jpg", "b/1.jpg"], "found id 8 for a/1.jpg and b/1.jpg"),
])  # fmt: skip
def test_images_must_match_exactly_once(tmp_path: Path, images: dict[int, str], files: list[str], message: str) -> None:
    with pytest.raises(GroundTruthError, match=message) as caught:
        _truth(tmp_path / "truth.json", images).image_ids([Path(file) for file in files])
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(("text", "message"), [
    (None, "found none"),
    ("", "invalid JSON"),
    ("[]", "found a list"),
    ('{"images": [], "categories": [{"id": 1, "name": "a"}]}', "a list 'images', found none"),
    ('{"images": [{"id": 1, "file_name": "a"}]}', "a list 'categories', found none"),
    ('{"images": [{"id": "1", "file_name": "a"}]}', "an integer id and a file_name"),
    ('{"images": [{"id": 1}]}', "an integer id and a file_name"),
    ('{"images": [{"id": 1, "file_name": "a"}, {"id": 1, "file_name": "b"}]}', "found 1 twice"),
    ("[" * 100_000, "invalid JSON"),
])  # fmt: skip
def test_invalid_annotation_files_are_refused(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "truth.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(GroundTruthError, match=message):
        GroundTruth(path)


def _result(
    names: tuple[str, ...], ids: list[int], prompts: tuple[str, ...] = (), prompt_ids: list[int] | None = None
) -> Result:
    masks = [hard_masks()["disc"]] * len(ids)
    return made_result(
        masks,
        class_names=names,
        class_agnostic=names == ("object",),
        class_ids=ids,
        prompts=prompts,
        prompt_ids=prompt_ids,
    )


def test_categories_by_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    categories = Categories(_truth(tmp_path / "truth.json", {1: "1.jpg"}))
    result = _result(("dog", "CAT", "bird"), [0, 1, 2, 2])
    assert categories.of(result) == [7, 3, None, None]
    assert categories.of(result) == [7, 3, None, None]
    assert len(caplog.messages) == 1
    assert "'bird'" in caplog.messages[0]
    assert categories.names == CATEGORIES


def test_an_exact_category_name_is_preferred(tmp_path: Path) -> None:
    categories = Categories(_truth(tmp_path / "truth.json", {1: "1.jpg"}, {1: "Cat", 2: "cat", 3: "dog"}))
    assert categories.of(_result(("cat", "Cat", "CAT"), [0, 1, 2])) == [2, 1, None]


def test_prompts_are_looked_up_for_models_without_class_names(tmp_path: Path) -> None:
    truth = _truth(tmp_path / "truth.json", {1: "1.jpg"})
    result = _result(("object",), [0, 0, 0], ("Traffic Light", "shoe"), [0, 1, 0])
    assert Categories(truth).of(result) == [9, None, 9]
    with pytest.raises(GroundTruthError, match=r"one of the prompts \(shoe\), found Cat, dog, traffic light"):
        Categories(truth).of(_result(("object",), [], ("shoe",)))


def test_a_model_without_matching_classes_is_refused(tmp_path: Path) -> None:
    truth = _truth(tmp_path / "truth.json", {1: "1.jpg"})
    with pytest.raises(GroundTruthError, match=r"one of the classes of the model \(a, b\)"):
        Categories(truth).of(_result(("a", "b"), []))


def test_segments_without_names(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    result = _result(("object",), [0, 0])
    alone = Categories(_truth(tmp_path / "one.json", {1: "1.jpg"}, {5: "leaf"}))
    assert alone.of(result) == [5, 5]
    assert not caplog.messages
    several = Categories(_truth(tmp_path / "several.json", {1: "1.jpg"}))
    assert several.of(result) == [1, 1]
    assert len(caplog.messages) == 1
    assert Categories().of(result) == [1, 1]


@pytest.mark.parametrize("option", ["--coco-ids", "--names"])
def test_home_folder_in_paths_is_expanded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    from fastsam_trt.cli.main import main

    monkeypatch.setenv("HOME", str(tmp_path))
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((8, 8, 3), np.uint8))
    request = [
        "run",
        "--video",
        str(tmp_path / "a.png"),
        "--model",
        "demo-seg",
        "--coco",
        str(tmp_path / "out.json"),
        option,
        "~/none.json",
    ]
    assert main(request) != 0
    assert f"{tmp_path}/none.json" in capsys.readouterr().err
