"""Test the command as a user runs it, with valid and invalid requests, and its exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco

from fastsam_engine.spec.model_spec import METADATA_KEY
from fastsam_trt.cli.main import main
from support.colour_models import save, scene, segmenter_graph, segmenter_spec
from support.typed import picture

Write = Callable[[Path, list[np.ndarray]], Path]


@pytest.fixture
def video(tmp_path: Path, write_video: Write) -> Path:
    """Red from frame 5 to 14, green always."""
    frames = [scene(("green", 5, 5), *([("red", 1, 1)] if 5 <= i < 15 else [])) for i in range(20)]
    return write_video(tmp_path / "clip.avi", frames)


def _fails(capsys: pytest.CaptureFixture[str], code: int, *arguments: object) -> str:
    """Run a request that must fail, and return its one-line error."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", None)
        found: object
        try:
            found = main([str(argument) for argument in arguments])
        except SystemExit as stop:  # argparse
            found = stop.code
    captured = capsys.readouterr()
    errors = [line for line in captured.err.splitlines() if "INFO" not in line and "WARNING" not in line]
    assert found == code, captured.err
    assert len(errors) == 1, captured.err
    assert errors[0].startswith("fastsam-trt")
    assert "error: " in errors[0]
    assert "unexpected" not in errors[0]
    return errors[0]


def test_a_video_becomes_an_overlay_and_json_lines(
    video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, lines = tmp_path / "out.mp4", tmp_path / "out.jsonl"
    assert (
        main(
            [
                "run",
                "--video",
                str(video),
                "--prompt",
                "red",
                "--model",
                "colours",
                "--save",
                str(out),
                "--json",
                str(lines),
            ]
        )
        == 0
    )
    capture = cv2.VideoCapture(str(out))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 20
    assert capture.get(cv2.CAP_PROP_FPS) == 25
    records = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [record["frame"] for record in records] == list(range(20))
    assert [len(record["segments"]) for record in records] == [0] * 5 + [1] * 10 + [0] * 5
    record = records[7]
    assert record["source"] == str(video)
    assert record["size"] == [256, 256]
    assert set(record["ms"]) == {"preprocess", "segment", "select", "decode", "total"}
    (segment,) = record["segments"]
    assert {**segment, "score": 0, "mask": 0, "track": 0} == {
        "box": [16.0, 16.0, 80.0, 80.0],
        "score": 0,
        "label": "red",
        "prompt": "red",
        "similarity": None,
        "track": 0,
        "mask": 0,
    }
    assert len({each["track"] for record in records for each in record["segments"]}) == 1
    assert segment["track"] >= 0
    mask = coco.decode(segment["mask"])
    assert mask.shape == (256, 256)
    assert mask[20:76, 20:76].mean() > 0.95
    assert mask.sum() == mask[16:80, 16:80].sum()
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("20 frames, 10 selected segments, ")
    assert "FPS" in printed[0]
    for stage in ("capture", "preprocess", "segment", "select", "decode", "output"):
        assert f"{stage} " in printed[0]
    assert printed[1:] == [f"saved {out}", f"saved {lines}"]


def test_json_masks_are_the_masks(photo: Path, tmp_path: Path) -> None:
    from fastsam_trt import Pipeline

    lines = tmp_path / "out.jsonl"
    assert main(["run", "--source", str(photo), "--model", "colours", "--json", str(lines)]) == 0
    (record,) = [json.loads(line) for line in lines.read_text().splitlines()]
    expected = Pipeline("colours")(picture(photo)).masks()
    found = [coco.decode(segment["mask"]).astype(bool) for segment in record["segments"]]
    np.testing.assert_array_equal(found, expected)


def test_clip_selects_by_other_prompts(photo: Path, tmp_path: Path) -> None:
    lines = tmp_path / "out.jsonl"
    arguments = ["run", "--source", str(photo), "--model", "things", "--clip", "clip-colours", "--json", str(lines)]
    assert main([*arguments, "--prompt", "a red shape", "--prompt", "a blue shape"]) == 0
    (segment,) = json.loads(lines.read_text())["segments"]
    assert (segment["prompt"], segment["label"]) == ("a red shape", None)
    assert segment["similarity"] > 0.9


@pytest.mark.parametrize("kind", ["grey", "bgra", "sixteen", "one"])
def test_images_of_other_formats_are_processed(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    frame = scene(("red", 1, 1))
    picture = {
        "grey": frame[..., 0],
        "bgra": np.concatenate([frame, np.zeros((256, 256, 1), np.uint8)], axis=2),
        "sixteen": frame.astype(np.uint16) * 257,
        "one": frame[:1, :1],
    }[kind]
    path = tmp_path / "x.png"
    cv2.imwrite(str(path), picture)
    assert main(["run", "--source", str(path), "--model", "colours", "--save", str(tmp_path / "out.png")]) == 0
    found = "1 of 1" if kind in ("bgra", "sixteen") else "0 of 0"
    assert found in capsys.readouterr().out


def test_missing_and_unreadable_sources(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.jsonl"
    assert "found nothing there" in _fails(
        capsys, 2, "run", "--video", tmp_path / "no.mp4", "--model", "colours", "--json", out
    )
    (tmp_path / "text.mp4").write_text("not a video")
    _fails(capsys, 1, "run", "--video", tmp_path / "text.mp4", "--model", "colours", "--json", out)
    (tmp_path / "empty.png").write_bytes(b"")
    assert "empty file" in _fails(
        capsys, 1, "run", "--source", tmp_path / "empty.png", "--model", "colours", "--json", out
    )
    assert not out.exists()


def test_a_truncated_video_is_processed_as_far_as_it_goes(
    tmp_path: Path, write_video: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    noise = np.random.default_rng(0)
    whole = write_video(tmp_path / "whole.avi", [noise.integers(0, 256, (64, 64, 3), np.uint8) for _ in range(40)])
    cut = tmp_path / "cut.avi"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    out, lines = tmp_path / "out.mp4", tmp_path / "out.jsonl"
    error = _fails(capsys, 1, "run", "--video", cut, "--model", "colours", "--save", out, "--json", lines)
    written = len(lines.read_text().splitlines())
    assert f"expected 40 frames, found the end after {written}; these are processed" in error
    assert 10 < written < 30
    assert cv2.VideoCapture(str(out)).get(cv2.CAP_PROP_FRAME_COUNT) == written


@pytest.mark.parametrize("prompt", ["", "   ", "\t"])
def test_blank_prompts(photo: Path, capsys: pytest.CaptureFixture[str], prompt: str) -> None:
    assert "expected a prompt with text" in _fails(
        capsys, 2, "run", "--source", photo, "--model", "colours", "--prompt", prompt
    )


def test_unknown_models_get_a_suggestion(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "did you mean colours" in _fails(capsys, 2, "run", "--source", photo, "--model", "colour")
    assert "fastsam-trt export yolov8n-seg" in _fails(capsys, 2, "run", "--source", photo)
    assert "did you mean clip-colours" in _fails(capsys, 2, "info", "clip-colour")


def test_unusable_model_files(tmp_path: Path, photo: Path, capsys: pytest.CaptureFixture[str], home: Path) -> None:
    def fails(name: str) -> str:
        return _fails(capsys, 2, "run", "--source", photo, "--model", tmp_path / name)

    whole = (home / "models" / "colours" / "colours.onnx").read_bytes()
    (tmp_path / "cut.onnx").write_bytes(whole[: len(whole) // 2])
    assert "cut short" in fails("cut.onnx")
    (tmp_path / "text.onnx").write_text("hello")
    assert "expected an ONNX model" in fails("text.onnx")
    save(segmenter_graph(), tmp_path / "bare.onnx", None)
    assert "give their names with --names FILE" in fails("bare.onnx")
    newer = segmenter_spec().to_json().replace('"schema_version": 1', '"schema_version": 9')
    save(segmenter_graph(), tmp_path / "newer.onnx", None, {METADATA_KEY: newer})
    assert "expected a spec of schema version 1, found 9" in fails("newer.onnx")
    clip = home / "models" / "clip-colours" / "clip-colours.image.onnx"
    assert "expected a segmenter" in _fails(capsys, 2, "run", "--source", photo, "--model", clip)


def test_a_prompt_that_needs_clip_names_the_export_command(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    error = _fails(capsys, 2, "run", "--source", photo, "--model", "colours", "--prompt", "red bus")
    assert "create it with: fastsam-trt export clip-vit-base-patch32" in error


def test_unusable_backends(photo: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    request = ("run", "--source", photo, "--model", "colours", "--backend")
    known = "auto, onnxruntime, openvino, tensorrt, tensorrt-rtx"
    assert f"expected a backend among {known}, found 'cuda'" in _fails(capsys, 2, *request, "cuda")
    real = metadata.version

    def absent(name: str) -> str:
        if name == "openvino":
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr("fastsam_engine.packages.metadata.version", absent)
    assert "pip install openvino" in _fails(capsys, 2, *request, "openvino")


def test_both_onnxruntime_wheels(
    photo: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = metadata.version
    monkeypatch.setattr(
        "fastsam_engine.packages.metadata.version", lambda name: "1.0" if name == "onnxruntime-gpu" else real(name)
    )
    error = _fails(capsys, 1, "run", "--source", photo, "--model", "colours")
    assert "pip uninstall -y onnxruntime onnxruntime-gpu" in error
    assert main(["doctor"]) == 1
    assert "problem: expected one distribution of 'onnxruntime'" in capsys.readouterr().err


def test_outputs_that_cannot_be_written(
    photo: Path, video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(source: Path, *arguments: object) -> str:
        return _fails(capsys, 2, "run", "--source", source, "--model", "colours", *arguments)

    assert "mkdir -p" in fails(photo, "--json", tmp_path / "no" / "out.jsonl")
    assert "found a folder" in fails(photo, "--json", tmp_path)
    assert "expected a suffix among .mp4" in fails(video, "--save", tmp_path / "out.xyz")
    assert "mkdir -p" in fails(video, "--save", tmp_path / "no" / "out.mp4")
    assert "a video such as out.mp4" in fails(video, "--save", tmp_path / "out.png")
    assert "another file than the source" in fails(video, "--save", video)
    (tmp_path / "file").write_text("in the way")
    assert "expected the folder" in fails(photo, "--save", tmp_path / "file" / "out.png")
    assert "expected a folder" in fails(photo, "--save", tmp_path / "file")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.png").write_bytes(photo.read_bytes())
    (tmp_path / "folder" / "b.png").write_bytes(photo.read_bytes())
    assert "a folder for the images" in fails(tmp_path / "folder", "--save", tmp_path / "out.png")


def test_a_window_without_a_display(
    photo: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    assert "expected a display" in _fails(capsys, 2, "run", "--source", photo, "--model", "colours", "--show")


def test_an_export_without_its_extra(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastsam_engine.packages.metadata.version", _not_installed)
    error = _fails(capsys, 2, "export", "yolov8n-seg")
    assert "expected ultralytics, onnx, onnxslim to be installed" in error
    assert "pip install 'fastsam-trt[cpu,export]'" in error


def _not_installed(name: str) -> str:
    raise metadata.PackageNotFoundError(name)


def test_a_refused_request_keeps_the_old_file(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = tmp_path / "out.jsonl"
    lines.write_text("old\n")
    _fails(capsys, 2, "run", "--source", photo, "--model", "no-such", "--json", lines)
    _fails(capsys, 2, "run", "--source", photo, "--model", "colours", "--conf", 3, "--json", lines)
    assert lines.read_text() == "old\n"
    assert {each.name for each in tmp_path.iterdir()} <= {"home", "photo.png", "out.jsonl"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["run"],
        ["fly"],
        ["run", "--video", "x.mp4", "--conf", "high"],
        ["run", "--video", "x.mp4", "--vid-stride", "0"],
        ["run", "--video", "x.mp4", "--imgsz", "1", "2", "3"],
        ["run", "--video", "x.mp4", "--selector", "magic"],
        ["run", "--video", "x.mp4", "--no-such-flag"],
        ["info"],
        ["info", "nothing"],
    ],
)
def test_errors_of_invalid_requests_are_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    _fails(capsys, 2, *arguments)


def test_errors_of_invalid_options_are_one_line(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for extra in (
        ["--imgsz", "1", "2", "3"],
        ["--imgsz", "33"],
        ["--selector", "magic"],
        ["--classes", "9"],
        ["--iou", "-1"],
    ):
        _fails(capsys, 2, "run", "--source", photo, "--model", "colours", *extra)


def test_info_prints_the_spec(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "colours"]) == 0
    text = capsys.readouterr().out
    for part in ("family", "yolo-seg", "red, green, blue", "input.size_multiple", "schema_version"):
        assert part in text
    assert main(["info", "clip-colours", "--json"]) == 0
    documents = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [document["spec"]["task"] for document in documents] == ["embed-image", "embed-text"]


def test_doctor_lists_packages_and_models(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastsam_trt.cli.doctor.CLASHES", {})
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    for part in ("onnxruntime", "openvino", "clip-colours", "colours", "text embeddings"):
        assert part in text


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "nothing", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


def _command(*arguments: object) -> list[str]:
    return [sys.executable, "-c", "from fastsam_trt.cli.main import entry; entry()", *map(str, arguments)]


def test_a_terminated_run_keeps_whole_files(tmp_path: Path, write_video: Write, home: Path) -> None:
    video = write_video(tmp_path / "long.avi", [scene(("red", 1, 1))] * 3000)
    out, lines = tmp_path / "out.mp4", tmp_path / "out.jsonl"
    command = _command("run", "--video", video, "--model", "colours", "--save", out, "--json", lines)
    with subprocess.Popen(
        command, env={**os.environ, "FASTSAM_TRT_HOME": str(home)}, stdout=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and (not lines.exists() or lines.stat().st_size < 20_000):
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        printed = process.communicate(timeout=120)[0]
    assert process.returncode == 143
    records = [json.loads(line) for line in lines.read_text().splitlines()]
    assert 0 < len(records) < 3000
    assert cv2.VideoCapture(str(out)).get(cv2.CAP_PROP_FRAME_COUNT) in (len(records), len(records) - 1)
    assert "frames," in printed


def test_no_progress_is_printed_without_a_terminal(video: Path) -> None:
    done = subprocess.run(
        _command("run", "--video", video, "--model", "colours"), capture_output=True, text=True, check=True
    )
    assert "\r" not in done.stderr
    assert "%" not in done.stderr
    assert len(done.stdout.splitlines()) == 1


def test_a_reader_that_closes_early_is_no_error(tmp_path: Path, photo: Path) -> None:
    done = subprocess.run(
        f"{' '.join(map(repr, _command('doctor')))} | head -1", shell=True, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
