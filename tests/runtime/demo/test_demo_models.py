"""The bundled models: intact, small, and as accurate as stated."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from fastsam_bench.scenarios.demo_accuracy import BOUNDS, mask_ious, measure
from fastsam_engine import find_graph, read_spec
from fastsam_trt import Pipeline, bundled_models
from fastsam_trt.bundled_models import CLIP, SEGMENTER, BundledModelError, locate
from fastsam_trt.cli.main import main
from fastsam_trt.demo import draw_scene

PACKAGED = bundled_models.FOLDER
SCENES = 24
# For OpenVINO, to save time. A missed object of a held-out pair moves the F1 of the 10 in them by 0.06, of the 6 in
# twelve scenes by 0.1.
FEWER_SCENES = 16
# Fewer scenes than the benchmark's 200, so a little slack: two percent of the metrics' own spread.
SLACK = 0.03


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    shutil.copytree(PACKAGED, folder)
    return folder


def test_bundled_models_are_small_and_have_a_parity_record() -> None:
    assert sum(each.stat().st_size for each in PACKAGED.rglob("*")) <= 8_000_000
    for graph in (find_graph(locate(SEGMENTER)), *(find_graph(locate(CLIP), part) for part in ("image", "text"))):
        spec = read_spec(graph)
        assert spec.parity is not None
        assert spec.source.versions["fastsam-trt"]
    assert read_spec(find_graph(locate(CLIP), "image")).defaults["even_cosine"] > 0


@pytest.mark.parametrize(
    ("backend", "precision", "scenes"),
    [("onnxruntime", "fp32", SCENES), ("openvino", "auto", FEWER_SCENES), ("openvino", "fp32", FEWER_SCENES)],
)
def test_bundled_models_are_accurate(backend: str, precision: str, scenes: int) -> None:
    pytest.importorskip(backend)
    pipeline = Pipeline(SEGMENTER, clip=CLIP, selector="clip", backend=backend, precision=precision)
    figures = measure(pipeline, scenes).metrics()
    short = {name: round(value, 3) for name, value in figures.items() if not value >= BOUNDS[name] - SLACK}  # or NaN
    assert not short


def test_a_damaged_model_is_detected_by_its_checksum(damaged: Path) -> None:
    graph = damaged / SEGMENTER / f"{SEGMENTER}.onnx"
    data = bytearray(graph.read_bytes())
    data[len(data) // 2] ^= 1
    graph.write_bytes(data)
    with pytest.raises(
        BundledModelError, match=r"expected the file that comes with the package, found different content"
    ):
        locate(SEGMENTER, damaged)
    assert locate(CLIP, damaged) == damaged / CLIP  # the other one is intact
    graph.unlink()
    with pytest.raises(BundledModelError, match="found no file"):
        locate(SEGMENTER, damaged)


def test_a_damaged_model_is_a_one_line_error(
    damaged: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (damaged / CLIP / "tokenizer.json").write_text("{}")
    monkeypatch.setattr("fastsam_trt.clip.model.locate", lambda name: locate(name, damaged))
    assert main(["run", "--video", "demo", "--prompt", "red circle", "--vid-stride", "100"]) == 1
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("fastsam-trt: error")]
    assert len(error) == 1
    assert "pip install --force-reinstall" in error[0]


def test_doctor_finds_a_damaged_model(
    damaged: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (damaged / CLIP / "tokenizer.json").write_text("{}")
    monkeypatch.setattr("fastsam_trt.cli.doctor.locate", lambda name: locate(name, damaged))
    assert main(["doctor"]) == 1
    assert "tokenizer.json: expected the file that comes with the package" in capsys.readouterr().err


def test_other_names_are_returned_unchanged() -> None:
    assert locate("yolov8n-seg") == "yolov8n-seg"
    assert locate(Path("folder") / "x.onnx") == Path("folder") / "x.onnx"


def test_the_quick_start_needs_no_other_argument(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(home)  # as for a new user, without exports
    video, lines = tmp_path / "out.mp4", tmp_path / "out.jsonl"
    request = ["run", "--video", "demo", "--prompt", "red circle", "--save", str(video), "--json", str(lines)]
    assert main([*request, "--vid-stride", "10"]) == 0
    printed = capsys.readouterr().out
    assert "FPS" in printed
    assert f"saved {video}" in printed
    assert cv2.VideoCapture(str(video)).get(cv2.CAP_PROP_FRAME_COUNT) == 30
    records = [json.loads(line) for line in lines.read_text().splitlines()]
    assert sum(len(record["segments"]) == 1 for record in records) >= 20
    assert all(segment["prompt"] == "red circle" for record in records for segment in record["segments"])


def test_mask_ious_equal_plain_code() -> None:
    scene = draw_scene(1, 90, 160)
    found = mask_ious(scene.masks, ~scene.masks)
    for i, a in enumerate(scene.masks):
        for j, b in enumerate(~scene.masks):
            assert found[i, j] == pytest.approx((a & b).sum() / (a | b).sum())
    assert mask_ious(scene.masks[:0], scene.masks).shape == (0, len(scene.masks))


def test_a_perfect_pipeline_scores_perfectly() -> None:
    """Checks the measure: a pipeline that knows the ground truth reaches 1 in every metric."""

    class Oracle:
        prompts: tuple[str, ...] = ()

        def __call__(self, frame: np.ndarray) -> object:
            scene = scenes[frame.tobytes()]
            wanted = [
                (i, k) for i, item in enumerate(scene.items)
                for k, prompt in enumerate(self.prompts or ("",))
                if prompt in ("", item.colour, item.shape, f"{item.colour} {item.shape}")
            ]  # fmt: skip
            return _Known(scene.masks[[i for i, _ in wanted]], np.array([k for _, k in wanted], int))

    class _Known:
        def __init__(self, masks: np.ndarray, prompt_ids: np.ndarray) -> None:
            self._masks, self.prompt_ids = masks, prompt_ids

        def __len__(self) -> int:
            return len(self._masks)

        def masks(self) -> np.ndarray:
            return self._masks

    drawn = [draw_scene(seed) for seed in range(40, 46)]
    scenes = {scene.frame.tobytes(): scene for scene in drawn}
    figures = measure(Oracle(), len(drawn), 40).metrics()  # type: ignore[arg-type]
    assert all(value == pytest.approx(1) for value in figures.values()), figures
