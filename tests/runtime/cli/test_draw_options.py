"""What the command draws: overlays of images, panels on request, the options of drawing, and the demo photo."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from fastsam_trt import Pipeline, open_source
from fastsam_trt.cli.main import main
from fastsam_trt.results.panels import draw_panels
from support.colour_models import scene
from support.typed import picture

Write = Callable[[Path, list[np.ndarray]], Path]
SHAPES = (("red", 1, 1), ("green", 5, 5))


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), scene(*SHAPES))
    return path


def _run(*arguments: object) -> int:
    return main(["run", *map(str, arguments), "--model", "colours"])


def _error(capsys: pytest.CaptureFixture[str], code: int, *arguments: object) -> str:
    assert _run(*arguments) == code
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "INFO" not in line]
    return line


def test_an_image_becomes_its_overlay(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.png"
    assert _run("--source", photo, "--prompt", "green", "--save", out) == 0
    np.testing.assert_array_equal(picture(out), Pipeline("colours", prompts=["green"])(scene(*SHAPES)).plot())
    assert f"{photo}: 1 of 2 segments: green 1.00" in capsys.readouterr().out


def test_panels_are_the_original_all_segments_and_the_overlay(photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    assert _run("--source", photo, "--prompt", "green", "--save", out, "--panels") == 0
    assert picture(out).shape[1] == 3 * 256 + 8
    np.testing.assert_array_equal(picture(out), draw_panels(Pipeline("colours", prompts=["green"])(scene(*SHAPES))))


@pytest.mark.parametrize(("more", "width"), [((), 256), (("--panels",), 3 * 256 + 8)])
def test_a_folder_of_images_becomes_a_folder_of_pictures(
    photo: Path, tmp_path: Path, more: tuple[str, ...], width: int
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        (folder / name).write_bytes(photo.read_bytes())
    (folder / "a.jpg").write_bytes(cv2.imencode(".jpg", picture(photo))[1].tobytes())
    out = tmp_path / "out"
    assert _run("--source", folder, "--save", out, *more) == 0
    assert sorted(each.name for each in out.iterdir()) == ["a-2.png", "a.png", "b.png"]
    assert {picture(each).shape[1] for each in out.iterdir()} == {width}


def test_options_are_those_of_plot(photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    options = ("--draw", "boxes,labels", "--colour-by", "track", "--opacity", 0.9, "--line-width", 9, "--text-size", 40)
    assert _run("--source", photo, "--save", out, *options) == 0
    result = Pipeline("colours")(scene(*SHAPES))
    expected = result.plot(draw=["boxes", "labels"], colour_by="track", opacity=0.9, line_width=9, text_size=40)
    np.testing.assert_array_equal(picture(out), expected)
    assert (expected != result.plot()).any()
    assert _run("--source", photo, "--save", out, "--color-by", "track") == 0
    np.testing.assert_array_equal(picture(out), result.plot(colour_by="track"))


def test_a_video_is_drawn_with_the_options(tmp_path: Path, write_video: Write) -> None:
    video = write_video(tmp_path / "clip.avi", [scene(*SHAPES)] * 3)
    for name, options in (("all.mkv", ()), ("none.mkv", ("--draw", "boxes", "--line-width", 0))):
        assert _run("--video", video, "--save", tmp_path / name, *options) == 0
    with open_source(str(tmp_path / "all.mkv")) as drawn, open_source(str(tmp_path / "none.mkv")) as plain:
        first, other = next(iter(drawn)).image.astype(int), next(iter(plain)).image
    assert np.abs(other.astype(int) - scene(*SHAPES)).mean() < 6
    assert np.abs(first - other).mean() > np.abs(other.astype(int) - scene(*SHAPES)).mean() + 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--draw", "mask"),
            "draw: expected some of masks, boxes, labels, scores, with commas between them, found 'mask'",
        ),
        (("--draw", ""), "draw: expected some of"),
        (("--colour-by", "size"), "colour_by: expected one of auto, track, class, prompt, found 'size'"),
        (("--opacity", "1.5"), "opacity: expected a number from 0 to 1, found 1.5"),
        (("--line-width", "nan"), "line_width: expected a number from 0 to 100, found nan"),
        (("--text-size", "0"), "text_size: expected a number from 4 to 1000, found 0.0"),
    ],
)
def test_wrong_options_write_nothing(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], message: str
) -> None:
    out = tmp_path / "out.png"
    assert message in _error(capsys, 2, "--source", photo, "--save", out, *options)
    assert message in _error(capsys, 2, "--source", photo, *options)  # also where nothing is drawn
    assert not out.exists()


def test_panels_need_images_to_save(
    photo: Path, tmp_path: Path, write_video: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "panels: expected --save OUT" in _error(capsys, 2, "--source", photo, "--panels")
    video = write_video(tmp_path / "clip.avi", [scene(*SHAPES)])
    message = _error(capsys, 2, "--video", video, "--panels", "--save", tmp_path / "out.mp4")
    assert "panels: expected images to save, or a folder of them, found 'the video " in message


def test_the_demo_photo_needs_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    out.mkdir()
    assert _run("--video", "demo-photo", "--save", out, "--coco", tmp_path / "out.json") == 0
    assert picture(out / "demo-photo.png").shape == (300, 451, 3)
    assert "demo-photo: " in capsys.readouterr().out


def test_the_demo_photo_takes_the_model_that_is_there(
    home: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    def used() -> str:
        caplog.clear()
        assert main(["run", "--video", "demo-photo", "--save", str(tmp_path / "out.png")]) == 0
        return caplog.text

    assert "no model for photos is installed" not in used()  # there are small exact models
    shutil.copytree(home / "models" / "colours", home / "models" / "yolov8n-seg")
    (home / "models" / "yolov8n-seg" / "colours.onnx").rename(home / "models" / "yolov8n-seg" / "yolov8n-seg.onnx")
    assert "no model" not in used()
    shutil.rmtree(home / "models")
    text = used()
    assert "no model for photos is installed; demo-seg is used, which knows drawn shapes only" in text
    assert "fastsam-trt export yolov8n-seg" in text
    assert "1 segments" in capsys.readouterr().out.splitlines()[-3]


def test_models_are_compared_on_the_demo_photo(tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    arguments = ["compare", "--image", "demo-photo", "--prompt", "red", "--model", "colours", "--repeat", "1"]
    assert main([*arguments, "--save", str(out)]) == 0
    assert out.exists()
