"""Test boxes, points and exclusions on an image, a folder and the demo video, and their errors."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco

from fastsam_trt.cli.main import main
from fastsam_trt.sources.demo_video import DemoVideo
from support.colour_models import scene

# The shapes lie in cells of 32 px: red is centred on (48, 48), green on (176, 48), blue on (48, 176).
SHAPES = (("red", 1, 1), ("green", 1, 5), ("blue", 5, 1))


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), scene(*SHAPES))
    return path


def _labels(path: Path, tmp_path: Path, *arguments: str, model: str = "colours") -> list[list[tuple[str, str]]]:
    """Run the command, and return the label and prompt of each selected segment per frame."""
    lines = tmp_path / "out.jsonl"
    assert main(["run", "--source", str(path), "--model", model, "--json", str(lines), *arguments]) == 0
    records = [json.loads(line) for line in lines.read_text().splitlines()]
    return [sorted((each["label"], each["prompt"]) for each in record["segments"]) for record in records]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("--box 20 20 80 80", ["red"]),
        ("--box -5 -5 80 80 --box 150.5 20 200 999", ["green", "red"]),
        ("--point 48 176", ["blue"]),
        ("--point 48 176 --point 48 48 --not-point 47.5 48", ["blue"]),
        ("--not-point 48 48", ["blue", "green"]),
        ("--not red", ["blue", "green"]),
        ("--not red --not greens", ["blue"]),
        ("--not red --box 20 20 80 80 --point 176 48", ["green"]),
        ("", ["blue", "green", "red"]),
    ],
)
def test_boxes_and_points_on_an_image(photo: Path, tmp_path: Path, arguments: str, expected: list[str]) -> None:
    (found,) = _labels(photo, tmp_path, *arguments.split())
    assert found == [(label, None) for label in expected]


def test_texts_and_points_together(photo: Path, tmp_path: Path) -> None:
    request = "--prompt red --box 20 20 80 80 --point 176 48 --selector labels"
    assert _labels(photo, tmp_path, *request.split()) == [[("green", None), ("red", "red")]]


def test_exclusions_reach_clip(photo: Path, tmp_path: Path) -> None:
    clip = ["--clip", "clip-colours", "--selector", "clip", "--prompt", "a red green shape"]
    assert [label for label, _ in _labels(photo, tmp_path, *clip)[0]] == ["green", "red"]
    assert [label for label, _ in _labels(photo, tmp_path, *clip, "--not", "green")[0]] == ["red"]


def test_boxes_and_points_in_a_folder(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.png").write_bytes(photo.read_bytes())
    cv2.imwrite(str(folder / "b.png"), scene(("blue", 1, 1), height=160))
    assert _labels(folder, tmp_path, "--point", "48", "48") == [[("red", None)], [("blue", None)]]
    capsys.readouterr()
    assert main(["run", "--source", str(folder), "--model", "colours", "--point", "48", "176"]) == 1
    assert "y < 160 in the frame of 256 x 160 px" in capsys.readouterr().err  # so it lies outside the second image


def test_a_box_and_a_point_on_the_demo_video(tmp_path: Path) -> None:
    truth = DemoVideo().scene(0)
    (boxed, pointed), masks = np.argsort(-truth.visible * truth.masks.sum(axis=(1, 2)))[:2], truth.masks
    rows, columns = np.nonzero(masks[boxed])
    box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    inside = np.array(np.unravel_index(_depth(masks[pointed]).argmax(), masks[pointed].shape))[::-1]
    lines = tmp_path / "out.jsonl"
    request = ["run", "--video", "demo", "--vid-stride", "150", "--json", str(lines)]
    assert main([*request, "--box", *map(str, box), "--point", *map(str, inside)]) == 0
    first, _ = (json.loads(line) for line in lines.read_text().splitlines())
    found = [coco.decode(segment["mask"]).astype(bool) for segment in first["segments"]]
    assert len(found) == 2
    for index in (boxed, pointed):
        assert max((mask & masks[index]).sum() / (mask | masks[index]).sum() for mask in found) > 0.8


def _depth(mask: np.ndarray) -> np.ndarray:
    return cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--box 300 0 400 50", "an overlap with the frame of 256 x 256 px, found none"),
        ("--box 50 0 40 50", "expected x0 < x1 and y0 < y1"),
        ("--box nan 0 40 50", "expected finite numbers"),
        ("--box 0 0 40", "argument --box: expected 4 arguments"),
        ("--box a b c d", "argument --box: invalid float value: 'a'"),
        ("--point 300 0", "expected 0 <= x < 256 and 0 <= y < 256"),
        ("--point 3", "argument --point: expected 2 arguments"),
        ("--not-point -1 0", "expected 0 <= x < 256 and 0 <= y < 256"),
        ("--point inf 0", "expected finite numbers"),
        ("--not red --prompt Reds", "found both; remove one of them"),
        ("--not rde --selector labels", "expected the name of a class of the model"),
    ],
)
def test_invalid_boxes_points_and_exclusions_are_refused(
    photo: Path, capsys: pytest.CaptureFixture[str], arguments: str, message: str
) -> None:
    try:
        code = main(["run", "--source", str(photo), "--model", "colours", *arguments.split()])
    except SystemExit as stop:  # argparse
        code = stop.code
    lines = [line for line in capsys.readouterr().err.splitlines() if "INFO" not in line]
    assert code == 2
    assert len(lines) == 1
    assert message in lines[0]
