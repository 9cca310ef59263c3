"""COCO results: pycocotools loads them, decodes their masks and scores them."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools import mask as masks
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from fastsam_engine.errors import OutputError
from fastsam_trt.errors import OptionError
from fastsam_trt.results.coco import CATEGORY_IDS, as_records, official_ids
from fastsam_trt.results.result import Result
from fastsam_trt.sinks import CocoSink, JsonLinesSink
from fastsam_trt.sources import Frame
from support.made_results import HEIGHT, WIDTH, hard_masks, made_result

NAMES = ("cat", "dog", "bird")


def _scene(seed: int) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    made = []
    for _ in range(4):
        canvas = np.zeros((HEIGHT, WIDTH), np.uint8)
        centre = generator.integers([15, 15], [WIDTH - 15, HEIGHT - 15]).tolist()
        cv2.circle(canvas, centre, int(generator.integers(6, 14)), 1, cv2.FILLED)
        made.append(canvas.astype(bool))
    return made


def _truth(scenes: dict[int, list[np.ndarray]], class_ids: list[int]) -> COCO:
    """Ground truth by pycocotools' own encoder."""
    numbers = itertools.count(1)
    annotations = []
    for image_id, scene in scenes.items():
        for mask, class_id in zip(scene, class_ids, strict=True):
            encoded = masks.encode(np.asfortranarray(mask.astype(np.uint8)))
            annotations.append(
                {
                    "id": next(numbers),
                    "image_id": image_id,
                    "category_id": class_id,
                    "segmentation": {**encoded, "counts": encoded["counts"].decode()},
                    "bbox": masks.toBbox(encoded).tolist(),
                    "area": float(masks.area(encoded)),
                    "iscrowd": 0,
                }
            )
    truth = COCO()
    truth.dataset = {
        "info": {},
        "images": [{"id": image_id, "height": HEIGHT, "width": WIDTH} for image_id in scenes],
        "categories": [{"id": class_id, "name": name} for class_id, name in enumerate(NAMES)],
        "annotations": annotations,
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
    return truth


def _average_precision(truth: COCO, results: str, kind: str) -> float:
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(truth, truth.loadRes(results), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0])


def test_cocoeval_scores_a_results_file(tmp_path: Path) -> None:
    class_ids = [0, 1, 2, 1]
    scenes = {139: _scene(0), 285: _scene(1), 632: _scene(2)}
    truth = _truth(scenes, class_ids)

    def run(name: str, shift: int) -> str:
        files = [Path(f"{image_id:012d}.jpg") for image_id in scenes]
        path = tmp_path / name
        with CocoSink(path, files) as sink:
            for place, (file, scene) in enumerate(zip(files, scenes.values(), strict=True)):
                moved = [np.roll(mask, shift, axis=1) for mask in scene]
                result = made_result(moved, class_ids=class_ids, class_names=NAMES)
                sink.write(Frame(result.frame, place, str(file)), result)
        return str(path)

    good, bad = run("good.json", 0), run("bad.json", 3)
    for kind in ("segm", "bbox"):
        assert _average_precision(truth, good, kind) == pytest.approx(1)
        assert 0 < _average_precision(truth, bad, kind) < 0.9
    loaded = json.loads(Path(good).read_text())
    assert [record["image_id"] for record in loaded] == [139] * 4 + [285] * 4 + [632] * 4


def test_records_match_the_segments() -> None:
    drawn = hard_masks()
    result = made_result(list(drawn.values()), class_ids=[i % 3 for i in range(len(drawn))])
    records = as_records(result, 7)
    assert [set(record) for record in records] == [{"image_id", "category_id", "bbox", "score", "segmentation"}] * len(
        drawn
    )
    for record, (name, mask), class_id, score in zip(
        records, drawn.items(), result.class_ids, result.scores, strict=True
    ):
        assert (record["image_id"], record["category_id"]) == (7, class_id)
        assert record["score"] == pytest.approx(score, abs=1e-5)
        np.testing.assert_array_equal(masks.decode(record["segmentation"]), mask, err_msg=name)
        if mask.any():
            assert record["bbox"] == masks.toBbox(record["segmentation"]).tolist()
    assert json.loads(json.dumps(records)) == records
    assert as_records(made_result([]), 7) == []


def test_category_ids_of_records() -> None:
    disc = [hard_masks()["disc"]] * 2

    def categories(
        class_ids: list[int], names: tuple[str, ...], given: dict[int, int] | None = None, *, agnostic: bool = False
    ) -> list[int]:
        result = made_result(disc, class_ids=class_ids, class_names=names, class_agnostic=agnostic)
        return [record["category_id"] for record in as_records(result, 0, given)]

    assert categories([2, 0], NAMES) == [2, 0]
    assert categories([0, 0], ("object",), agnostic=True) == [1, 1]
    assert categories([0, 0], ("person",)) == [0, 0]
    assert categories([0, 0], ()) == [1, 1]
    assert categories([2, 0], NAMES, {0: 17, 2: 16}) == [16, 17]
    assert categories([0, 0], ("object",), {0: 5}) == [5, 5]
    with pytest.raises(OptionError, match="expected a category for class 2"):
        categories([2, 0], NAMES, {0: 17})


def test_official_category_ids() -> None:
    """The list that COCO converters use, and names around its gaps."""
    official = [*range(1, 12), *range(13, 26), 27, 28, *range(31, 45), *range(46, 66), 67, 70, *range(72, 83)]
    official += range(84, 91)
    assert list(CATEGORY_IDS.values()) == official
    known = {"person": 1, "fire hydrant": 11, "stop sign": 13, "giraffe": 25, "umbrella": 28, "handbag": 31,
             "surfboard": 42, "bottle": 44, "wine glass": 46, "bed": 65, "dining table": 67, "toilet": 70, "tv": 72,
             "refrigerator": 82, "book": 84, "toothbrush": 90}  # fmt: skip
    assert {name: CATEGORY_IDS[name] for name in known} == known
    names = list(CATEGORY_IDS)
    assert official_ids(names) == dict(enumerate(official))
    assert official_ids(names[::-1]) == dict(enumerate(official[::-1]))
    assert official_ids([*names, "banner"]) is None
    assert official_ids([*names, "person"]) is None
    assert official_ids(["person", *names[:-1]]) is None
    assert official_ids(["person", "car"]) is official_ids([]) is None


def _written(path: Path, results: list[tuple[Frame, Result]], files: list[Path] | None = None) -> list[dict]:
    with CocoSink(path, files or []) as sink:
        for frame, result in results:
            sink.write(frame, result)
    return json.loads(path.read_text())


def test_coco_models_get_official_category_ids(tmp_path: Path) -> None:
    result = made_result([hard_masks()["disc"]], class_ids=[79], class_names=tuple(CATEGORY_IDS))
    (record,) = _written(tmp_path / "out.json", [(Frame(result.frame, 0, "cam0"), result)])
    assert record["category_id"] == 90


@pytest.mark.parametrize(("names", "expected"), [
    (("000000000139.jpg", "COCO_val2014_000000000285.jpg", "frame_7.png", "IMG_2041.JPG"), [139, 285, 7, 2041]),
    (("0.png", "1.png"), [0, 1]),
    (("aa_jpg.rf.00c8e1f3.jpg", "bb_jpg.rf.77aa0d12.jpg", "plain.jpg"), [0, 1, 2]),
    (("aa_jpg.rf.00c8e1f5.jpg", "bb_jpg.rf.77aa0dc5.jpg"), [0, 1]),
    (("photo2.jpg", "IMG20230101.jpg"), [0, 1]),
    (("9.png", "cat.png", "dog.png"), [0, 1, 2]),
    (("photos/1.png", "photos/-2.png", "photos/3 .png"), [0, 1, 2]),
    (("train2014/COCO_train2014_12.jpg", "val2017/000012.jpg", "x/5.png"), [0, 1, 2]),
    (("a_1.jpg", "b_1.jpg"), [0, 1]),
    (("1_\u0663.jpg", "2_\u00b2.jpg"), [0, 1]),
    ((f"{2**53 - 1}.jpg", f"{'0' * 400}7.jpg"), [2**53 - 1, 7]),
    ((f"{2**53}.jpg", "7.jpg"), [0, 1]),
    ((f"{'9' * 5000}.jpg", "7.jpg"), [0, 1]),
])  # fmt: skip
def test_image_ids(tmp_path: Path, names: tuple[str, ...], expected: list[int]) -> None:
    """Ids are all numbers from names, or all positions; never a mix."""
    result = made_result([hard_masks()["disc"]])
    files = [Path("in") / name for name in names]
    frames = [(Frame(result.frame, place, str(file)), result) for place, file in enumerate(files)]
    records = _written(tmp_path / "out.json", frames, files)
    assert [record["image_id"] for record in records] == expected
    folders = len({file.parent for file in files}) > 1
    assert [record["file_name"] for record in records] == [name if folders else Path(name).name for name in names]


def test_position_ids_are_logged_in_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    CocoSink(tmp_path / "out.json", [Path("1.png"), Path("2.png")])
    CocoSink(tmp_path / "out.json", [Path("cat.png")])
    assert caplog.messages == []
    CocoSink(tmp_path / "out.json", [Path("1.png"), Path("cat.png"), Path("dog.png")])
    (line,) = caplog.messages
    assert "positions" in line
    assert "cat.png" in line
    assert "--coco-ids" in line


def test_video_frames_have_their_index_as_id(tmp_path: Path) -> None:
    result = made_result([hard_masks()["disc"]])
    frames = [(Frame(result.frame, index, "clips/clip7.mp4"), result) for index in (0, 3, 6)]
    records = _written(tmp_path / "out.json", frames)
    assert [record["image_id"] for record in records] == [0, 3, 6]
    assert [record["file_name"] for record in records] == ["clip7_0.png", "clip7_3.png", "clip7_6.png"]


def test_pages_of_a_file_have_different_ids(tmp_path: Path) -> None:
    result = made_result([hard_masks()["disc"]])
    files = [Path("4.tif"), Path("6.tif")]
    sources = ["4.tif#1", "4.tif#2", "4.tif#3", "6.tif"]
    frames = [(Frame(result.frame, index, source), result) for index, source in enumerate(sources)]
    records = _written(tmp_path / "out.json", frames, files)
    assert [(record["image_id"], record["file_name"]) for record in records] == list(
        zip([4, 7, 8, 6], sources, strict=True)
    )


def test_a_video_among_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"found clip\.mp4 among the images"):
        CocoSink(tmp_path / "out.json", [Path("cat.png"), Path("clip.mp4")])
    assert not list(tmp_path.glob("*.json"))


def test_file_names_that_are_not_utf8_can_be_written(tmp_path: Path) -> None:
    result = made_result([hard_masks()["disc"]])
    name = os.fsdecode(b"in/\xffcaf\xc3\xa9.png")
    (record,) = _written(tmp_path / "out.json", [(Frame(result.frame, 0, name), result)], [Path(name)])
    assert record["file_name"] == Path(name).name
    with JsonLinesSink(tmp_path / "out.jsonl") as sink:
        sink.write(Frame(result.frame, 0, name), result)
    line = (tmp_path / "out.jsonl").read_bytes().decode("utf-8")
    assert json.loads(line)["source"] == name
    assert "caf\u00e9" in line


def test_prompts_are_categories_for_models_without_class_names(tmp_path: Path) -> None:
    masks = [hard_masks()["disc"]] * 3
    result = made_result(
        masks, class_names=("object",), class_agnostic=True, prompts=("red car", "dog"), prompt_ids=[1, 0, -1]
    )
    written = _written(tmp_path / "out.json", [(Frame(result.frame, 0, "cam0"), result)])
    assert [record["category_id"] for record in written] == [2, 1, 3]


def test_the_old_file_stays_until_the_run_ends(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    path.write_text("old")
    with CocoSink(path):
        pass
    assert path.read_text() == "old"  # nothing was done
    result = made_result([hard_masks()["disc"]])
    sink = CocoSink(path)
    sink.write(Frame(result.frame, 0, "cam0"), result)
    assert path.read_text() == "old"
    sink.close()
    sink.close()
    assert len(json.loads(path.read_text())) == 1
    assert [each.name for each in tmp_path.iterdir() if each.is_file()] == ["out.json"]


def test_no_segments_give_an_empty_array(tmp_path: Path) -> None:
    empty, full = made_result([]), made_result([hard_masks()["disc"]] * 2)
    assert _written(tmp_path / "out.json", [(Frame(empty.frame, 0, "cam0"), empty)]) == []
    frames = [(Frame(each.frame, index, "cam0"), each) for index, each in enumerate((empty, full, empty, full))]
    assert [record["image_id"] for record in _written(tmp_path / "out.json", frames)] == [1, 1, 3, 3]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out.json"
    path.write_text("old")
    result = made_result([hard_masks()["disc"]])
    sink = CocoSink(path)
    sink.write(Frame(result.frame, 0, "cam0"), result)

    class Full:
        """A file on a full disk."""

        def __init__(self, file: io.TextIOBase) -> None:
            self._file = file
            self.closed = False

        def write(self, text: str) -> None:
            raise OSError(28, "No space left on device")

        def close(self) -> None:
            self.closed = True
            self._file.close()

    monkeypatch.setattr(sink._part, "_file", Full(sink._part._file))
    with pytest.raises(OutputError, match="No space left"):
        sink.write(Frame(result.frame, 1, "cam0"), result)
    sink.close()
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir() if each.is_file()] == ["out.json"]


@pytest.mark.parametrize(("name", "message"), [
    ("out.jsonl", "expected the suffix .json, found '.jsonl'"),
    ("out", "expected the suffix .json, found ''"),
    ("no/out.json", "mkdir -p"),
    ("folder.json", "found a folder"),
    ("/proc/out.json", "can't be written"),
])  # fmt: skip
def test_unwritable_paths_are_refused(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(OutputError, match=message):
        CocoSink(tmp_path / name)
