"""Test ultralytics' ONNX exports with all kinds of options: they run or are refused on opening."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fastsam_engine.errors import ModelFileError
from fastsam_trt import Pipeline

pytestmark = pytest.mark.usefixtures("export_extra")
_SIZE_PX = 320


def _export(shared: Path, folder: Path, **options: Any) -> Path:
    import ultralytics

    folder.mkdir()
    weights = shared / "models" / "yolov8n-seg.pt"
    if not weights.is_file():
        pytest.skip(f"{weights} is not there")
    copy = Path(shutil.copy(weights, folder))
    return Path(ultralytics.YOLO(str(copy)).export(format="onnx", imgsz=_SIZE_PX, verbose=False, **options))


def test_nms_in_the_graph_gives_what_ours_gives(shared: Path, tmp_path: Path, backend: str) -> None:
    import onnx

    frame = cv2.imread(str(shared / "images" / "bus.jpg"))
    assert frame is not None
    expected = Pipeline(_export(shared, tmp_path / "plain"), backend=backend, precision="fp32")(frame)
    nms = _export(shared, tmp_path / "nms", nms=True)
    model = onnx.load(str(nms))
    kept = {each.key: each.value for each in model.metadata_props if each.key != "args"}
    onnx.helper.set_model_props(model, kept)
    onnx.save(model, str(nms.with_name("silent.onnx")))
    assert len(expected) >= 3
    for path in (nms, nms.with_name("silent.onnx")):
        found = Pipeline(path, backend=backend, precision="fp32")(frame)
        assert found.labels == expected.labels
        np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.1)
        assert (found.masks() == expected.masks()).mean() > 0.9999


def test_a_fixed_batch_is_refused_with_the_cure(shared: Path, tmp_path: Path) -> None:
    path = _export(shared, tmp_path / "batch", batch=4)
    with pytest.raises(ModelFileError, match=r"found a batch of 4; export it again with: yolo export .* batch=1"):
        Pipeline(path)
