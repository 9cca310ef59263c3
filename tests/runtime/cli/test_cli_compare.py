"""Test `fastsam-trt compare` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from fastsam_trt import Pipeline
from fastsam_trt.cli.main import main
from fastsam_trt.comparison.sheet import GAP_PX, MARGIN_PX


def _run(*arguments: object) -> int:
    try:
        return main(["compare", *(str(argument) for argument in arguments)])
    except SystemExit as stop:  # argparse
        return int(stop.code or 0)


def _fails(capsys: pytest.CaptureFixture[str], code: int, *arguments: object) -> str:
    assert _run(*arguments) == code
    errors = [line for line in capsys.readouterr().err.splitlines() if "INFO" not in line]
    assert len(errors) == 1, errors
    assert "error: " in errors[0]
    assert "unexpected" not in errors[0]
    return errors[0]


def test_all_installed_segmenters_make_a_table_and_files(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outs = [tmp_path / name for name in ("out.png", "out.html", "out.json")]
    flags = [part for flag, path in zip(("--save", "--html", "--json"), outs, strict=True) for part in (flag, path)]
    assert _run("--image", photo, "--prompt", "a red shape", "--clip", "clip-colours", "--repeat", 1, *flags) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].split()[:3] == ["model", "segments", "selected"]
    assert [line.split()[:3] for line in printed[2:4]] == [["colours", "2", "1"], ["things", "2", "1"]]
    assert printed[2].split("  ")[-1].strip().startswith("red 1.00, green 0.")
    assert printed[3].split("  ")[-1].strip().startswith("a red shape 1.00, a red shape 0.")
    assert printed[4:] == [f"saved {path}" for path in outs]
    assert cv2.imread(str(outs[0])).shape[1] == 3 * 800 + 2 * GAP_PX + 2 * MARGIN_PX
    assert outs[1].read_text().startswith("<!DOCTYPE html>")
    document = json.loads(outs[2].read_text(), parse_constant=lambda found: pytest.fail(f"{found} is no JSON"))
    assert document["size"] == [256, 256]
    assert document["clip"] == "clip-colours"
    for model, name in zip(document["models"], ("colours", "things"), strict=True):
        run = Pipeline(name, clip="clip-colours", prompts=["a red shape"])(cv2.imread(str(photo)))
        assert model["model"] == name
        assert [each["index"] for each in model["ranking"] if each["selected"]] == run.selection.indices.tolist()
        assert len(model["ranking"]) == model["segments"] == 2
        assert set(model["ms"]) == {"preprocess", "segment", "select", "decode", "total"}


def test_labels_need_no_clip(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.json"
    request = ("--image", photo, "--prompt", "green", "--model", "colours", "--repeat", 1)
    assert _run(*request, "--json", out, "--save", tmp_path / "out.jpg") == 0
    (model,) = json.loads(out.read_text())["models"]
    assert (model["by_label"], model["by_clip"], model["best_similarity"]) == (["green"], [], None)
    (segment,) = model["ranking"]
    assert (segment["label"], segment["similarity"], segment["selected"]) == ("green", None, True)
    assert capsys.readouterr().out.splitlines()[2].rstrip().endswith("  -                green 1.00")


def test_the_demo_needs_nothing_downloaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FASTSAM_TRT_HOME", str(tmp_path / "nothing"))
    out = tmp_path / "out.json"
    assert _run("--image", "demo", "--prompt", "red circle", "--repeat", 1, "--json", out) == 0
    (model,) = json.loads(out.read_text())["models"]
    assert (model["model"], model["selected"]) == ("demo-seg", 1)
    assert model["ranking"][0]["similarity"] > 0.9
    assert model["ranking"][1]["similarity"] < 0.5
    assert capsys.readouterr().out.splitlines()[2].startswith("demo-seg ")


def test_errors_of_invalid_requests_are_one_line(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = ("--image", photo, "--prompt", "red", "--model", "colours")

    assert "--prompt" in _fails(capsys, 2, "--image", photo)
    assert "--image" in _fails(capsys, 2, "--prompt", "red")
    assert "expected a prompt with text" in _fails(capsys, 2, "--image", photo, "--prompt", " ")
    assert "did you mean colours" in _fails(capsys, 2, *good, "--model", "colour")
    clip = Path("models") / "clip-colours" / "clip-colours.image.onnx"
    assert "expected a segmenter" in _fails(capsys, 2, *good, "--model", tmp_path / "home" / clip)
    missing = _fails(capsys, 2, "--image", photo, "--prompt", "red bus", "--model", "colours")
    assert "create it with: fastsam-trt export clip-vit-base-patch32" in missing
    assert "'things': selector labels: expected" in _fails(
        capsys, 2, *good, "--model", "things", "--selector", "labels"
    )
    assert "--repeat" in _fails(capsys, 2, *good, "--repeat", "often")
    assert "repeat: expected" in _fails(capsys, 2, *good, "--repeat", 0)
    assert "top: expected" in _fails(capsys, 2, *good, "--top", -1)
    assert "selector: expected" in _fails(capsys, 2, *good, "--selector", "magic")


def test_outputs_that_cannot_be_written_are_refused_first(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = photo.read_bytes()
    good = ("--image", photo, "--prompt", "red", "--model", "no-such-model")
    assert "another file than the source" in _fails(capsys, 2, *good, "--save", photo)
    assert "expected a suffix among .bmp" in _fails(capsys, 2, *good, "--save", tmp_path / "out.mp4")
    assert "expected a suffix among .htm, .html" in _fails(capsys, 2, *good, "--html", tmp_path / "out.png")
    assert "expected a suffix among .json" in _fails(capsys, 2, *good, "--json", tmp_path / "out.jsonl")
    assert "mkdir -p" in _fails(capsys, 2, *good, "--save", tmp_path / "no" / "out.png")
    twice = tmp_path / "out.html"
    assert "found it twice" in _fails(capsys, 2, *good, "--html", twice, "--save", twice)
    assert photo.read_bytes() == before


def test_unreadable_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def fails(code: int, path: Path) -> str:
        return _fails(capsys, code, "--image", path, "--prompt", "red", "--model", "colours")

    assert "found nothing there" in fails(2, tmp_path / "no.png")
    assert "found a folder" in fails(2, tmp_path)
    (tmp_path / "text.png").write_text("hello")
    assert "expected an image, found text" in fails(1, tmp_path / "text.png")
    (tmp_path / "empty.png").write_bytes(b"")
    assert "empty file" in fails(1, tmp_path / "empty.png")


def test_16_bit_grey_images_are_compared(tmp_path: Path) -> None:
    path = tmp_path / "grey.png"
    cv2.imwrite(str(path), np.full((64, 64), 30_000, np.uint16))
    out = tmp_path / "out.png"
    request = ("--image", path, "--prompt", "red", "--model", "colours", "--repeat", 1)
    assert _run(*request, "--save", out, "--html", tmp_path / "out.html") == 0
    assert out.exists()
