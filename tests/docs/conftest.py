"""Fixtures of the tests of pages."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest

from support import colour_models


@pytest.fixture
def work_folder(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_video: Callable[..., Path]) -> Path:
    """A folder with the files that pages name, and exact models under the names of published ones."""
    classes = ("person", "car", "bus")  # red, green, blue
    spec = colour_models.segmenter_spec("yolov8n-seg", classes=classes)
    colour_models.save(colour_models.segmenter_graph(), home / "models/yolov8n-seg/yolov8n-seg.onnx", spec)
    clip = home / "models" / "clip-vit-base-patch32"
    clip.mkdir()
    for file in (home / "models" / "clip-colours").iterdir():
        shutil.copyfile(file, clip / file.name.replace("clip-colours", clip.name))
    shutil.copytree(home / "models" / "things", home / "models" / "fastsam-s")
    (home / "models" / "fastsam-s" / "things.onnx").rename(home / "models" / "fastsam-s" / "fastsam-s.onnx")
    shapes = colour_models.scene(("red", 1, 1), ("green", 3, 5), ("blue", 1, 5), height=192, width=256)
    scene = cv2.resize(shapes, (640, 480), interpolation=cv2.INTER_NEAREST)  # the model's input is the small one
    cv2.imwrite(str(tmp_path / "photo.jpg"), scene)
    write_video(tmp_path / "clip.mp4", [scene] * 12)
    monkeypatch.chdir(tmp_path)
    return tmp_path
