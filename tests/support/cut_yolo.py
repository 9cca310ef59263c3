"""Cut a small dense YOLO graph into parts, and run the parts on every anchor by plain loops."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsam_engine import open_session, read_spec
from fastsam_engine.spec.model_spec import ModelSpec
from fastsam_export.family import Exported
from fastsam_export.sparse.split import split_dense
from support import dense_yolo
from support.dense_yolo import COEFFICIENTS, STRIDES

PARTS = ("", ".heads", ".masks")


def cut(folder: Path, **options: Any) -> list[tuple[Path, ModelSpec]]:
    """Cut a small graph in `folder/dense` into parts in the folder."""
    (folder / "dense").mkdir()
    path = folder / "dense" / "small.onnx"
    spec = dense_yolo.save(path, **options)
    made = split_dense(Exported(path, spec), folder, lambda _: None)
    assert [file.path for file in made] == [folder / f"small{part}.onnx" for part in PARTS]
    specs = [read_spec(file.path) for file in made]
    assert len({spec.export_id for spec in specs}) == 1
    assert len(specs[0].export_id) == 64
    assert [each.task for each in specs] == ["segment", "heads", "masks"]
    assert {each.family for each in specs} == {f"{spec.family}-sparse"}
    return [(file.path, spec) for file, spec in zip(made, specs, strict=True)]


def outputs(folder: Path, batch: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Boxes and coefficients of all anchors (n, anchors, 4 + c): of the dense graph, and of one patch per anchor."""
    dense = open_session(folder / "dense" / "small.onnx", "onnxruntime").run({"images": batch})["output0"]
    trunk, heads, masks = (open_session(folder / f"small{part}.onnx", "onnxruntime") for part in PARTS)
    features = trunk.run({"images": batch})
    rows = []
    for image in range(len(batch)):
        reaches = [int(session.spec.defaults["reach_cells"]) for session in (heads, masks)]
        boxes = heads.run(_patches(features, image, reaches[0]))["boxes"]
        inputs = _patches(features, image, reaches[1]) | _part(features, masks.spec, (0, 1), (0, 1))
        rows.append(np.concatenate([_decoded(boxes, features), masks.run(inputs)["coefficients"]], axis=1))
    everything = dense.transpose(0, 2, 1)
    return np.delete(everything, range(4, everything.shape[2] - COEFFICIENTS), axis=2), np.stack(rows)


def prototypes(
    folder: Path, batch: NDArray[np.float32], rows: tuple[int, int], columns: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Prototypes (c, h, w) of some cells of the first image: of the dense graph, and of the parts."""
    dense = open_session(folder / "dense" / "small.onnx", "onnxruntime").run({"images": batch})["output1"]
    trunk, _, masks = (open_session(folder / f"small{part}.onnx", "onnxruntime") for part in PARTS)
    features = trunk.run({"images": batch})
    reach = int(masks.spec.defaults["reach_cells"])
    found = masks.run(_patches(features, 0, reach) | _part(features, masks.spec, rows, columns))["prototypes"]
    per_cell = int(masks.spec.defaults["prototypes_per_cell"])
    down, across = (slice(first * per_cell, last * per_cell) for first, last in (rows, columns))
    return dense[0, :, down, across], found[0]


def _part(
    features: Mapping[str, NDArray[Any]], spec: ModelSpec, rows: tuple[int, int], columns: tuple[int, int]
) -> dict[str, NDArray[Any]]:
    """The inputs for the prototypes of some rows and columns of cells."""
    margin = int(spec.defaults["margin_cells"])
    name = next(name for name in ("mask_features", "features_8") if name in spec.input_names)
    _, height, width, _ = features[name].shape
    places = [
        [(row, column) for column in range(columns[0] - margin, columns[1] + margin)]
        for row in range(rows[0] - margin, rows[1] + margin)
    ]
    cells = [[min(max(y, 0), height - 1) * width + min(max(x, 0), width - 1) for y, x in row] for row in places]
    inside = [[0 <= y < height and 0 <= x < width for y, x in row] for row in places]
    return {name: features[name], "tile_cells": np.array([cells]), "tile_inside": np.array([inside], np.float32)}


def _patches(features: Mapping[str, NDArray[Any]], image: int, reach: int) -> dict[str, NDArray[Any]]:
    """A patch for every anchor of an image, by plain loops."""
    inputs: dict[str, NDArray[Any]] = {}
    for stride in STRIDES:
        found = features[f"features_{stride}"]
        _, height, width, _ = found.shape
        side = 2 * reach + 1
        cells = np.zeros((height * width, side, side), np.int64)
        inside = np.zeros(cells.shape, np.float32)
        for anchor in range(height * width):
            for down in range(side):
                for across in range(side):
                    row, column = anchor // width + down - reach, anchor % width + across - reach
                    if 0 <= row < height and 0 <= column < width:
                        cells[anchor, down, across] = (image * height + row) * width + column
                        inside[anchor, down, across] = 1
        inputs |= {
            f"features_{stride}": found,
            f"cells_{stride}": cells,
            f"inside_{stride}": inside,
            f"picks_{stride}": np.arange(height * width),
        }
    return inputs


def _decoded(raw: NDArray[Any], features: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
    """Centres and sizes of boxes, px, from raw distances of all anchors."""
    weights = np.exp(raw.reshape(len(raw), 4, -1).astype(np.float64))
    distances = (weights * np.arange(weights.shape[2])).sum(axis=2) / weights.sum(axis=2)
    anchors, strides = [], []
    for stride in STRIDES:
        _, height, width, _ = features[f"features_{stride}"].shape
        rows, columns = np.mgrid[:height, :width].reshape(2, -1)
        anchors.append(np.stack([columns + 0.5, rows + 0.5], axis=1))
        strides.append(np.full((height * width, 1), stride))
    places = np.concatenate(anchors)
    low, high = places - distances[:, :2], places + distances[:, 2:]
    return np.asarray(np.concatenate([(low + high) / 2, high - low], axis=1) * np.concatenate(strides))
