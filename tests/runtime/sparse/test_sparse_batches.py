"""Two images in one run of the heads give the boxes of each alone."""

from __future__ import annotations

import numpy as np
import pytest

from fastsam_engine import open_session
from fastsam_engine.device_array import HostArray
from fastsam_engine.store.model_store import sibling_graph
from fastsam_trt.sparse.anchor_grid import AnchorGrid
from fastsam_trt.sparse.box_head import BoxHead
from fastsam_trt.sparse.crossing import COMPUTE_NAMES, ComputeName
from fastsam_trt.sparse.features import FrameFeatures
from support.dense_yolo import STRIDES
from support.sparse_models import Model


@pytest.mark.parametrize("compute", COMPUTE_NAMES)
def test_two_images_in_one_run(any_model: Model, backend: str, compute: ComputeName) -> None:
    trunk = open_session(any_model.cut, backend, precision="fp32")
    head = BoxHead(open_session(sibling_graph(any_model.cut, "heads"), backend, precision="fp32"))
    head.use_compute(compute)
    batch = np.random.default_rng(0).random((2, 3, 64, 96), np.float32)

    def features(images: np.ndarray) -> FrameFeatures:
        outputs = trunk.run({"images": images})
        names = {stride: f"features_{stride}" for stride in STRIDES}
        maps = {name: HostArray(outputs[name]) for name in names.values()}
        return FrameFeatures(
            maps, AnchorGrid({s: (maps[name].shape[1], maps[name].shape[2]) for s, name in names.items()})
        )

    both = features(batch)
    count = sum(level.cells for level in both.grid.levels)
    generator = np.random.default_rng(1)
    images = generator.integers(0, 2, 30)
    anchors = np.concatenate([[0, count - 1], generator.integers(0, count, 28)])
    found = head.boxes(both, anchors, images)
    for image in (0, 1):
        alone = head.boxes(features(batch[image : image + 1]), anchors[images == image])
        np.testing.assert_allclose(found[images == image], alone, atol=1e-3)
    assert len(np.unique(images)) == 2
