"""YOLO labels: drawn as ultralytics draws them, they give the masks, with all parts and holes."""

from __future__ import annotations

import importlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from fastsam_engine.errors import OutputError
from fastsam_trt.results.result import Result
from fastsam_trt.results.yolo_labels import label_lines
from fastsam_trt.sinks import YoloLabelSink
from fastsam_trt.sinks.frame_names import FrameNames
from fastsam_trt.sources import Frame, Kind
from support.made_results import HEIGHT, WIDTH, hard_masks, made_result

MASKS = {name: mask for name, mask in hard_masks().items() if name not in {"nothing", "noise"}}
JOINED = ("parts", "ring", "island in a ring")


def _drawn(line: str) -> np.ndarray:
    """A line drawn as by ultralytics: rounded down to whole pixels, filled including the outline."""
    values = np.array(line.split()[1:], float).reshape(-1, 2)
    assert len(values) >= 3
    assert values.min() >= 0
    assert values.max() <= 1
    canvas = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.fillPoly(canvas, [(values * [WIDTH, HEIGHT]).astype(np.int32)], 1)
    return canvas.astype(bool)


@pytest.mark.parametrize("name", MASKS)
def test_a_line_draws_the_mask(name: str) -> None:
    mask = MASKS[name]
    (line,) = label_lines(made_result([mask]), [0]).splitlines()
    drawn = _drawn(line)
    assert not (mask & ~drawn).any()
    more = int((drawn & ~mask).sum())  # the lines between parts
    assert more == 0 if name not in JOINED else more < 0.1 * mask.sum()


def test_lines_have_classes_and_scores() -> None:
    result = made_result(
        [MASKS["disc"], MASKS["row"], hard_masks()["nothing"], MASKS["row"]], scores=[0.9, 0.8, 0.7, 0.6]
    )
    lines = label_lines(result, [2, None, 1, 0], confidence=True).splitlines()
    assert [(line.split()[0], line.split()[-1]) for line in lines] == [("2", "0.9"), ("0", "0.6")]
    assert label_lines(made_result([]), []) == ""


def _write(
    folder: Path, kind: Kind, frames: list[tuple[str, int, Result]], files: tuple[str, ...] = ()
) -> dict[str, str]:
    with YoloLabelSink(folder, FrameNames(kind, [Path(file) for file in files])) as sink:
        for source, index, result in frames:
            sink.write(Frame(result.frame, index, source, media_s=1.0 if source.endswith(".mp4") else None), result)
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_files_are_named_as_their_images(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    result, empty = made_result([MASKS["disc"]], class_ids=[1]), made_result([])
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "b.txt").write_text("of an earlier run")
    files = ("in/a.jpg", "in/b.png", "in/x/a.jpg", "in/a.png", "in/clip.mp4")
    frames = [(file, index, empty if file == "in/b.png" else result) for index, file in enumerate(files)]
    written = _write(tmp_path / "labels", "images", frames, files)
    assert sorted(written) == ["a-2.txt", "a.txt", "b.txt", "classes.txt", "clip_4.txt", "data.yaml", "x/a.txt"]
    assert written["b.txt"] == ""
    assert written["a.txt"].startswith("1 ")
    assert written["classes.txt"] == "cat\ndog\nbird\n"
    assert f'path: "{Path("in").resolve()}"\ntrain: .\n' in written["data.yaml"]
    assert written["data.yaml"].endswith('names:\n  0: "cat"\n  1: "dog"\n  2: "bird"\n')
    assert len(caplog.messages) == 1
    assert "in/a.png" in caplog.messages[0]


def test_frames_of_a_video_are_named_as_ultralytics_does(tmp_path: Path) -> None:
    result = made_result(
        [MASKS["disc"]], class_names=("object",), class_agnostic=True, prompts=("a/b", "rote T\u00fcr"), prompt_ids=[1]
    )
    written = _write(tmp_path / "out", "video", [("in/clip.mp4", index, result) for index in (0, 12)])
    assert sorted(written) == ["classes.txt", "clip_0.txt", "clip_12.txt", "data.yaml"]
    assert written["clip_12.txt"].startswith("1 ")
    assert written["classes.txt"] == "a/b\nrote T\u00fcr\n"
    assert written["data.yaml"] == 'names:\n  0: "a/b"\n  1: "rote T\u00fcr"\n'


def test_unwritable_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="expected a folder"):
        YoloLabelSink(tmp_path / "file", FrameNames("video"))


def test_ultralytics_loads_the_labels(tmp_path: Path, export_extra: None) -> None:
    utils = importlib.import_module("ultralytics.data.utils")
    dataset = importlib.import_module("ultralytics.data.dataset")
    images = tmp_path / "images"
    images.mkdir()
    file = images / "photo.png"
    cv2.imwrite(str(file), np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    kept = {name: mask for name, mask in MASKS.items() if name not in JOINED}
    result = made_result(list(kept.values()), class_ids=[i % 3 for i in range(len(kept))])
    _write(tmp_path / "labels", "images", [(str(file), 0, result)], (str(file),))
    data = utils.check_det_dataset(str(tmp_path / "labels" / "data.yaml"))
    assert data["names"] == {0: "cat", 1: "dog", 2: "bird"}
    (label,) = dataset.YOLODataset(img_path=data["train"], data=data, task="segment", augment=False).labels
    assert label["cls"].ravel().tolist() == result.class_ids.tolist()
    for mask, segment in zip(kept.values(), label["segments"], strict=True):
        drawn = utils.polygons2masks((HEIGHT, WIDTH), [(segment * [WIDTH, HEIGHT]).reshape(-1)], 1)[0]
        np.testing.assert_array_equal(drawn.astype(bool), mask)
