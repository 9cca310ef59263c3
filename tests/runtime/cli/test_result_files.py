"""Test the result files of the command, and the checks of their options before any work."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco
from pycocotools.coco import COCO

from fastsam_trt import Pipeline
from fastsam_trt.cli.main import main
from fastsam_trt.results.label_map import label_map
from support.colour_models import scene

Write = Callable[[Path, list[np.ndarray]], Path]
Run = Callable[..., str]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Photos with red, nothing, and red and green; named after COCO's first validation images."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, shapes in (
        ("000000000139.jpg", [("red", 1, 1)]),
        ("000000000285.jpg", []),
        ("000000000632.jpg", [("red", 1, 1), ("green", 5, 5)]),
    ):
        cv2.imwrite(str(folder / name), scene(*shapes), [cv2.IMWRITE_JPEG_QUALITY, 100])
    return folder


@pytest.fixture
def video(tmp_path: Path, write_video: Write) -> Path:
    """Red in the second of three frames, green always."""
    frames = [scene(("green", 5, 5), *([("red", 1, 1)] if i == 1 else [])) for i in range(3)]
    return write_video(tmp_path / "clip.avi", frames)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a request on the exact model, and return its output."""

    def execute(source: Path, *arguments: object) -> str:
        code = main(["run", "--source", str(source), "--model", "colours", *map(str, arguments)])
        captured = capsys.readouterr()
        assert code == 0, captured.err
        return captured.out

    return execute


@pytest.fixture
def refuse(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a request that must be refused before any work, and return its one-line error."""

    def execute(source: Path, *arguments: object) -> str:
        code = main(["run", "--source", str(source), "--model", "no-such-model", *map(str, arguments)])
        captured = capsys.readouterr()
        assert code == 2, captured.err
        (line,) = captured.err.splitlines()
        assert "no-such-model" not in line  # the model is not even looked for
        return line

    return execute


def test_a_folder_becomes_coco_results_and_label_maps(photos: Path, tmp_path: Path, run: Run) -> None:
    results, maps = tmp_path / "results.json", tmp_path / "made" / "maps"
    printed = run(photos, "--coco", results, "--label-map", maps)
    assert printed.splitlines()[-2:] == [f"saved {results}", f"saved {maps}"]
    records = json.loads(results.read_text())
    assert [record["image_id"] for record in records] == [139, 632, 632]
    pipe = Pipeline("colours")
    for path in sorted(photos.iterdir()):
        expected = pipe(cv2.imread(str(path)))
        mine = [record for record in records if record["image_id"] == int(path.stem)]
        assert [record["category_id"] for record in mine] == expected.class_ids.tolist()
        masks = [coco.decode(record["segmentation"]).astype(bool) for record in mine]
        np.testing.assert_array_equal(np.reshape(masks, (-1, 256, 256)), expected.masks())
        with Image.open(maps / f"{path.stem}.png") as picture:
            assert picture.mode == "P"
            np.testing.assert_array_equal(np.asarray(picture), label_map(expected))


def test_a_video_becomes_numbered_label_maps_of_the_selection(video: Path, tmp_path: Path, run: Run) -> None:
    results, maps = tmp_path / "results.json", tmp_path / "maps"
    run(video, "--prompt", "red", "--coco", results, "--label-map", maps)
    assert [record["image_id"] for record in json.loads(results.read_text())] == [1]
    assert sorted(each.name for each in maps.iterdir()) == ["000000.png", "000001.png", "000002.png"]
    found = [np.asarray(Image.open(maps / f"00000{i}.png")) for i in range(3)]
    assert [np.unique(each).tolist() for each in found] == [[0], [0, 1], [0]]


def test_an_image_becomes_one_label_map(photo: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "out.png"
    run(photo, "--label-map", out)
    assert np.unique(np.asarray(Image.open(out))).tolist() == [0, 1, 2]


def test_a_model_of_one_class_uses_category_one(photo: Path, tmp_path: Path, run: Run) -> None:
    run(photo, "--model", "things", "--coco", tmp_path / "out.json", "--label-map", tmp_path / "out.png")
    records = json.loads((tmp_path / "out.json").read_text())
    assert [(record["image_id"], record["category_id"]) for record in records] == [(0, 1)] * 2
    assert np.unique(np.asarray(Image.open(tmp_path / "out.png"))).tolist() == [0, 1]


def test_a_folder_becomes_a_dataset_labels_and_pictures(photos: Path, tmp_path: Path, run: Run) -> None:
    dataset, labels, cutouts, masks = (tmp_path / name for name in ("out.json", "labels", "cutouts", "masks"))
    printed = run(photos, "--coco-dataset", dataset, "--labels", labels, "--cutouts", cutouts, "--masks", masks)
    assert printed.splitlines()[-4:] == [f"saved {path}" for path in (dataset, labels, cutouts, masks)]
    loaded = COCO(str(dataset))
    assert [image["file_name"] for image in loaded.dataset["images"]] == sorted(path.name for path in photos.iterdir())
    pipe = Pipeline("colours")
    files = []
    for path in sorted(photos.iterdir()):
        expected = pipe(cv2.imread(str(path)))
        found = loaded.loadAnns(loaded.getAnnIds([int(path.stem)]))
        assert [annotation["category_id"] for annotation in found] == expected.class_ids.tolist()
        lines = (labels / f"{path.stem}.txt").read_text().splitlines()
        assert [int(line.split()[0]) for line in lines] == expected.class_ids.tolist()
        for index, (annotation, mask, label) in enumerate(zip(found, expected.masks(), expected.labels, strict=True)):
            np.testing.assert_array_equal(loaded.annToMask(annotation), mask)
            files.append(f"{path.stem}-{index:02d}-{label}.png")
            np.testing.assert_array_equal(
                cv2.imread(str(masks / files[-1]), cv2.IMREAD_UNCHANGED), mask * np.uint8(255)
            )
            cut = cv2.imread(str(cutouts / files[-1]), cv2.IMREAD_UNCHANGED)
            np.testing.assert_array_equal(cut, expected.cutouts()[index])
    for folder in (cutouts, masks):
        assert sorted(path.name for path in folder.iterdir()) == files


def test_labels_lie_beside_their_images(photos: Path, run: Run) -> None:
    run(photos, "--labels", photos, "--labels-conf")
    lines = (photos / "000000000139.txt").read_text().splitlines()
    assert [len(line.split()) % 2 for line in lines] == [0]
    assert 0 < float(lines[0].split()[-1]) <= 1


def test_ids_come_from_annotations(photos: Path, tmp_path: Path, run: Run) -> None:
    truth = tmp_path / "truth.json"
    images = [{"id": 1000 + i, "file_name": f"val/{path.name}"} for i, path in enumerate(sorted(photos.iterdir()))]
    truth.write_text(json.dumps({"images": images, "categories": [{"id": 40, "name": "Red"}]}))
    run(photos, "--coco-ids", truth, "--coco", tmp_path / "out.json", "--coco-dataset", tmp_path / "set.json")
    records = json.loads((tmp_path / "out.json").read_text())
    assert [(each["image_id"], each["category_id"]) for each in records] == [(1000, 40), (1002, 40)]
    assert [each["file_name"] for each in records] == ["000000000139.jpg", "000000000632.jpg"]
    dataset = json.loads((tmp_path / "set.json").read_text())
    assert [each["id"] for each in dataset["images"]] == [1000, 1001, 1002]
    assert dataset["categories"] == [{"id": 40, "name": "Red", "supercategory": ""}]


def test_annotations_that_do_not_match_are_refused(
    photos: Path, photo: Path, video: Path, tmp_path: Path, refuse: Run
) -> None:
    truth = tmp_path / "truth.json"
    out = ["--coco", tmp_path / "out.json"]
    assert "expected a COCO annotation file" in refuse(photos, *out, "--coco-ids", truth)
    truth.write_text('{"images": [{"id": 1, "file_name": "000000000139.jpg"}], "categories": [{"id": 1, "name": "a"}]}')
    assert "000000000285.jpg and 1 more" in refuse(photos, *out, "--coco-ids", truth)
    assert "found none for" in refuse(photo, "--coco-dataset", tmp_path / "out.json", "--coco-ids", truth)
    assert "images as the source" in refuse(video, *out, "--coco-ids", truth)
    assert "which use the ids" in refuse(photos, "--coco-ids", truth)
    assert "another file than the source" in refuse(photos, "--coco", truth, "--coco-ids", truth)
    assert "--labels DIR" in refuse(photos, "--labels-conf")
    assert not (tmp_path / "out.json").exists()


def test_outputs_that_cannot_be_written(photo: Path, photos: Path, video: Path, tmp_path: Path, refuse: Run) -> None:
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "file").write_text("in the way")
    assert "expected the suffix .json" in refuse(photo, "--coco", tmp_path / "out.txt")
    assert "found a folder" in refuse(photo, "--coco", tmp_path / "folder.json")
    assert "mkdir -p" in refuse(photo, "--coco", tmp_path / "no" / "out.json")
    assert "a .png file, found the suffix '.jpg'" in refuse(photo, "--label-map", tmp_path / "out.jpg")
    assert "expected a folder" in refuse(photo, "--label-map", tmp_path / "file")
    assert "mkdir -p" in refuse(photo, "--label-map", tmp_path / "no" / "out.png")
    assert "expected the suffix .json" in refuse(photo, "--coco-dataset", tmp_path / "out.txt")
    for option in ("--labels", "--cutouts", "--masks"):
        assert "expected a folder" in refuse(photo, option, tmp_path / "file")
        assert "expected a folder" in refuse(photo, option, tmp_path / "file" / "below")
        assert "the name of a .png file" in refuse(photo, option, tmp_path / "out.png")
    for source in (photos, video):
        assert "a folder for the label maps" in refuse(source, "--label-map", tmp_path / "out.png")
    assert (tmp_path / "file").read_text() == "in the way"


def test_outputs_never_overwrite_the_source_or_each_other(
    photo: Path, photos: Path, tmp_path: Path, refuse: Run
) -> None:
    before = photo.read_bytes()
    assert "another file than the source" in refuse(photo, "--label-map", photo)
    assert "another file than the source" in refuse(photos, "--label-map", photos)
    for option in ("--label-map", "--save", "--cutouts", "--masks"):
        assert "another folder than that of the source" in refuse(photo, option, tmp_path)
        assert "another folder than that of the source" in refuse(tmp_path / "*.png", option, tmp_path)
    assert "found it twice" in refuse(photo, "--coco", tmp_path / "out.json", "--json", tmp_path / "out.json")
    assert "found it twice" in refuse(photo, "--cutouts", tmp_path / "a", "--masks", tmp_path / "b" / ".." / "a")
    assert "another file than the source" in refuse(photo, "--labels", photo)
    assert photo.read_bytes() == before
    assert sorted(each.name for each in tmp_path.iterdir()) == ["home", "photo.png", "photos"]


def test_a_refused_request_keeps_the_old_file(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.json"
    out.write_text("old")
    assert main(["run", "--source", str(photo), "--model", "no-such-model", "--coco", str(out)]) == 2
    assert out.read_text() == "old"
    assert not list(tmp_path.glob(".*part"))


def test_an_interrupted_run_keeps_whole_files(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, dataset, labels, masks = (tmp_path / name for name in ("out.json", "set.json", "labels", "masks"))
    real = Pipeline.segment
    done = []

    def stopped(self: Pipeline, frame: np.ndarray, **given: object) -> object:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(1)
        return real(self, frame, **given)

    monkeypatch.setattr(Pipeline, "segment", stopped)
    request = ["run", "--source", video, "--model", "colours", "--coco", out, "--coco-dataset", dataset]
    assert main([*map(str, request), "--labels", str(labels), "--masks", str(masks)]) == 130
    assert [record["image_id"] for record in json.loads(out.read_text())] == [0, 1, 1]
    loaded = COCO(str(dataset))
    assert [image["file_name"] for image in loaded.dataset["images"]] == ["clip_0.png", "clip_1.png"]
    assert len(loaded.dataset["annotations"]) == 3
    assert sorted(path.name for path in labels.iterdir()) == ["classes.txt", "clip_0.txt", "clip_1.txt", "data.yaml"]
    assert sorted(path.name for path in masks.iterdir()) == [
        "clip-000000-00-green.png", "clip-000001-00-red.png", "clip-000001-01-green.png"
    ]  # fmt: skip
    assert not list(tmp_path.rglob(".*part"))
