"""The table "theirs, ours": each of our lines runs, in the order of the page, and answers what it should."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastsam_trt import Result
from support.doc_pages import DOCS, blocks
from support.typed import picture

PAGE = DOCS / "from-ultralytics.md"
SECTION = PAGE.read_text(encoding="utf-8").partition("## In Python, line by line")[2].partition("\n## ")[0]
ROWS = re.findall(r"^\| `(.*)` \| `(.*)` \|$", SECTION, re.MULTILINE)
LABELS = ["bus", "car", "person"]

Names = dict[str, Any]


def _labels(result: Result) -> list[str]:
    return sorted(map(str, result.labels))


def _same(value: Any, expected: Any) -> bool:
    return bool(np.array_equal(np.asarray(value), np.asarray(expected)))


def _drawn(value: Any, names: Names) -> bool:
    """Whether it is a picture with something drawn on the frame, and the frame is as it was."""
    frame = names["result"].frame
    changed = (value != frame).any(axis=2)
    return value.shape == frame.shape and 0.01 < changed.mean() < 0.9 and _same(frame, names["frame"])


CHECKS: dict[str, Callable[[Any, Names], bool]] = {
    'pipe = Pipeline("yolov8n-seg")': lambda _, names: "Pipeline yolov8n-seg on" in repr(names["pipe"]),
    'result = pipe("photo.jpg")': lambda _, names: _labels(names["result"]) == LABELS,
    'results = pipe(["photo.jpg", "photo.jpg"])': lambda _, names: (
        [_labels(r) for r in names["results"]] == [LABELS] * 2
    ),
    'result = pipe(Image.open("photo.jpg"))': lambda _, names: _labels(names["result"]) == LABELS,
    "result = pipe(frame, conf=0.6, iou=0.5)": lambda _, names: _labels(names["result"]) == LABELS,
    'some = pipe(frame, classes=["person", "bus"])': lambda _, names: _labels(names["some"]) == ["bus", "person"],
    'for each in pipe.stream("clip.mp4"): print(len(each))': lambda _, names: len(names["each"]) == 3,
    'ids = [t.track_ids for t in pipe.stream("clip.mp4", track=True)]': lambda _, names: (
        len(names["ids"]) == 12 and {*names["ids"][-1].tolist()} == {*names["ids"][0].tolist()}
    ),
    "pipe.warmup((480, 640))": lambda value, _: value is None,
    "result.boxes": lambda value, names: value.shape == (len(names["result"]), 4),
    "result.scores.tolist()": lambda value, names: value == sorted(value, reverse=True),
    "result.labels": lambda value, _: set(value) == set(LABELS),
    "result.masks()": lambda value, names: value.shape == (3, 480, 640) and value.any(axis=(1, 2)).all(),
    "result.polygons()": lambda value, names: len(value) == len(names["result"]) and len(value[0]) == 1,
    "result[0].box": lambda value, names: _same(value, names["result"].boxes[0]),
    "result[result.scores > 0.5]": lambda value, names: _same(
        value.scores, [s for s in names["result"].scores if s > 0.5]
    ),
    "[(segment.class_id, segment.score) for segment in result]": lambda value, names: _same(
        value, np.stack([names["result"].class_ids, names["result"].scores], axis=1).astype(float)
    ),
    "result.plot()": _drawn,
    'result.plot(draw="boxes,labels")': _drawn,
    'result.plot(line_width=3, text_size=20, colour_by="track")': _drawn,
    'result.plot(draw="masks")': _drawn,
    'result.save("out.jpg")': lambda value, _: value == Path("out.jpg") and picture("out.jpg").shape == (480, 640, 3),
    'Path("photo.txt").write_text(result.to_yolo(confidence=True))': lambda _, names: (
        len(Path("photo.txt").read_text().splitlines()) == len(names["result"])
    ),
    "result.summary()": lambda value, names: [each["name"] for each in value] == names["result"].labels,
    "json.dumps(result.summary())": lambda value, names: json.loads(value) == names["result"].summary(),
    "result.speed": lambda value, _: set(value) == {"preprocess", "segment", "select", "decode", "total"},
    "detections = result.to_supervision()": lambda _, names: len(names["detections"]) == len(names["result"]),
    "result[result.class_ids == 0]": lambda value, _: {*value.labels} == {"person"},
    "result[0].cutout": lambda value, names: value.shape[2] == 4 and value[..., 3].any(),
}


def test_there_are_twenty_lines_and_more_and_each_is_checked() -> None:
    assert len(ROWS) >= 20
    assert len({ours for _, ours in ROWS}) == len(ROWS)
    assert [ours for _, ours in ROWS if ours not in CHECKS] == []
    assert CHECKS.keys() == {ours for _, ours in ROWS}


@pytest.mark.parametrize("theirs", [theirs for theirs, _ in ROWS])
def test_lines_of_ultralytics_are_python(theirs: str) -> None:
    compile(theirs, PAGE.name, "exec")


def test_each_of_our_lines_runs(work_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("supervision")
    (set_up,) = blocks(PAGE, "python")
    names: Names = {}
    exec(compile(set_up, PAGE.name, "exec"), names)
    for _, ours in ROWS:
        try:
            value = eval(compile(ours, PAGE.name, "eval"), names)
        except SyntaxError:
            value = exec(compile(ours, PAGE.name, "exec"), names)
        assert CHECKS[ours](value, names), ours
    assert capsys.readouterr().out
