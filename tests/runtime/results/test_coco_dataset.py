"""COCO datasets: pycocotools loads images, categories, and annotations whose polygons give the masks."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np
import pytest
from pycocotools import mask as masks
from pycocotools.coco import COCO

from fastsam_engine.errors import OutputError
from fastsam_trt.errors import OptionError
from fastsam_trt.results.coco import CATEGORY_IDS
from fastsam_trt.results.result import Result
from fastsam_trt.sinks import CocoDatasetSink, CocoSink
from fastsam_trt.sinks.coco_ids import CocoIds
from fastsam_trt.sources import Frame
from support.made_results import HEIGHT, WIDTH, hard_masks, made_result


def _loaded(path: Path) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


def _write(path: Path, ids: CocoIds, frames: Sequence[tuple[str, int, Result]]) -> COCO:
    with CocoDatasetSink(path, ids) as sink:
        for source, index, result in frames:
            media_s = index / 25 if source.endswith(".mp4") else None
            sink.write(Frame(result.frame, index, source, media_s=media_s), result)
    return _loaded(path)


def test_pycocotools_decodes_the_masks_of_a_dataset(tmp_path: Path) -> None:
    drawn = {name: mask for name, mask in hard_masks().items() if name != "nothing"}
    result = made_result(
        [*drawn.values(), hard_masks()["nothing"]],
        class_ids=[i % 3 for i in range(len(drawn) + 1)],
    )
    files = [Path("in/a_7.png"), Path("in/b_9.png")]
    dataset = _write(
        tmp_path / "out.json", CocoIds("images", files), [("in/a_7.png", 0, made_result([])), ("in/b_9.png", 1, result)]
    )
    assert dataset.dataset["images"] == [
        {"id": 7, "file_name": "a_7.png", "width": WIDTH, "height": HEIGHT},
        {"id": 9, "file_name": "b_9.png", "width": WIDTH, "height": HEIGHT},
    ]
    assert dataset.dataset["categories"] == [
        {"id": number, "name": name, "supercategory": ""} for number, name in enumerate(("cat", "dog", "bird"))
    ]
    assert dataset.dataset["licenses"] == []
    found = dataset.loadAnns(dataset.getAnnIds([9]))
    assert [annotation["id"] for annotation in found] == list(range(1, len(drawn) + 1))
    for annotation, (name, mask), score in zip(found, drawn.items(), result.scores, strict=False):
        np.testing.assert_array_equal(dataset.annToMask(annotation), mask, err_msg=name)
        encoded = masks.encode(np.asfortranarray(mask.astype(np.uint8)))
        assert annotation["bbox"] == masks.toBbox(encoded).tolist()
        assert annotation["area"] == masks.area(encoded)
        assert annotation["iscrowd"] == 0
        assert annotation["score"] == pytest.approx(score, abs=1e-5)
    assert len(dataset.getAnnIds([7])) == 0


def test_video_frames_are_dataset_images(tmp_path: Path) -> None:
    result = made_result([hard_masks()["disc"]])
    dataset = _write(tmp_path / "out.json", CocoIds("video"), [("a/clip.mp4", index, result) for index in (0, 4, 1000)])
    assert [(image["id"], image["file_name"]) for image in dataset.dataset["images"]] == [
        (0, "clip_0.png"), (4, "clip_4.png"), (1000, "clip_1000.png")
    ]  # fmt: skip
    camera = _write(tmp_path / "out.json", CocoIds("live"), [("rtsp://me:secret@host:554/", 3, result)])
    assert camera.dataset["images"][0]["file_name"] == "host-554_3.png"


def test_a_video_among_images(tmp_path: Path) -> None:
    result = made_result([hard_masks()["disc"]])
    ids = CocoIds("images", [Path("in/1.png"), Path("in/clip.mp4"), Path("in/x/1.png")])
    frames = [("in/1.png", 0, result), *[("in/clip.mp4", i, result) for i in range(3)], ("in/x/1.png", 2, result)]
    dataset = _write(tmp_path / "out.json", ids, frames)
    names = {image["id"]: image["file_name"] for image in dataset.dataset["images"]}
    assert names == {0: "1.png", 1: "clip_0.png", 3: "clip_1.png", 4: "clip_2.png", 2: "x/1.png"}


def test_category_ids_of_classes_prompts_and_annotations(tmp_path: Path) -> None:
    disc = [hard_masks()["disc"]] * 2
    things = made_result(disc, class_ids=[79, 0], class_names=tuple(CATEGORY_IDS))
    dataset = _write(tmp_path / "out.json", CocoIds("video"), [("a.mp4", 0, things)])
    assert [annotation["category_id"] for annotation in dataset.dataset["annotations"]] == [90, 1]
    assert {each["id"]: each["name"] for each in dataset.dataset["categories"]} == {
        number: name for name, number in CATEGORY_IDS.items()
    }

    prompted = made_result(
        disc, class_names=("object",), class_agnostic=True, prompts=("red car", "dog"), prompt_ids=[1, 1]
    )
    dataset = _write(tmp_path / "out.json", CocoIds("video"), [("a.mp4", 0, prompted)])
    assert dataset.dataset["categories"] == [
        {"id": 1, "name": "red car", "supercategory": ""},
        {"id": 2, "name": "dog", "supercategory": ""},
    ]
    assert [annotation["category_id"] for annotation in dataset.dataset["annotations"]] == [2, 2]

    truth = tmp_path / "truth.json"
    truth.write_text(
        json.dumps({"images": [{"id": 50, "file_name": "x.png"}], "categories": [{"id": 8, "name": "Dog"}]})
    )
    ids = CocoIds("images", [Path("in/x.png")], truth)
    dataset = _write(tmp_path / "out.json", ids, [("in/x.png", 0, prompted)])
    assert [(each["image_id"], each["category_id"]) for each in dataset.dataset["annotations"]] == [(50, 8)] * 2
    assert dataset.dataset["categories"] == [{"id": 8, "name": "Dog", "supercategory": ""}]
    with pytest.raises(OptionError, match=r"expected images as the source.*found 'a video source'"):
        CocoIds("video", (), truth)


def test_results_and_dataset_of_a_run_share_ids(tmp_path: Path) -> None:
    result = made_result(
        [hard_masks()["disc"]], class_names=("object",), class_agnostic=True, prompts=("dog",), prompt_ids=[0]
    )
    ids = CocoIds("images", [Path("b.png"), Path("a.png")])
    with (
        CocoSink(tmp_path / "results.json", [], ids) as results,
        CocoDatasetSink(tmp_path / "out.json", ids) as dataset,
    ):
        for index, name in enumerate(["b.png", "a.png"]):
            frame = Frame(result.frame, index, name)
            results.write(frame, result)
            dataset.write(frame, result)
    truth = _loaded(tmp_path / "out.json")
    with contextlib.redirect_stdout(io.StringIO()):
        loaded = truth.loadRes(str(tmp_path / "results.json"))
    assert [(each["image_id"], each["category_id"]) for each in loaded.dataset["annotations"]] == [(0, 1), (1, 1)]
    assert [each["image_id"] for each in truth.dataset["annotations"]] == [0, 1]


def test_the_old_file_stays_until_the_run_ends(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    path.write_text("old")
    with CocoDatasetSink(path, CocoIds("video")):
        pass
    assert path.read_text() == "old"
    result = made_result([])
    sink = CocoDatasetSink(path, CocoIds("video"))
    sink.write(Frame(result.frame, 0, "a.mp4"), result)
    assert path.read_text() == "old"
    sink.close()
    sink.close()
    assert len(_loaded(path).dataset["images"]) == 1
    assert [each.name for each in tmp_path.iterdir() if each.is_file()] == ["out.json"]


def test_a_full_disk_leaves_complete_image_entries(tmp_path: Path) -> None:
    result = made_result([hard_masks()["disc"]])
    sink = CocoDatasetSink(tmp_path / "out.json", CocoIds("video"))
    sink.write(Frame(result.frame, 0, "a.mp4"), result)

    class Full:
        """A file on a disk with space for a few more bytes."""

        def __init__(self, file: IO[bytes]) -> None:
            self._file = file
            self._room = 5

        def write(self, data: bytes) -> int:
            if not self._room:
                raise OSError(28, "No space left on device")
            room, self._room = self._room, 0
            return self._file.write(data[:room])

    file = sink._images
    sink._images = Full(file)
    with pytest.raises(OutputError, match="No space left"):
        sink.write(Frame(result.frame, 1, "a.mp4"), result)
    sink._images = file
    sink.close()
    dataset = _loaded(tmp_path / "out.json").dataset
    assert [image["id"] for image in dataset["images"]] == [0]
    assert [annotation["image_id"] for annotation in dataset["annotations"]] == [0]


def test_unwritable_paths_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"suffix \.json"):
        CocoDatasetSink(tmp_path / "out.txt", CocoIds("video"))
    with pytest.raises(OutputError, match="mkdir -p"):
        CocoDatasetSink(tmp_path / "no" / "out.json", CocoIds("video"))
