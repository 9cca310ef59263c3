"""Exact models in the form in which public hubs have ready ONNX files: what ultralytics exports, and CLIP's towers.

They are made without PyTorch; `hub_models` has seeded networks of the same layouts.
"""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from onnx import numpy_helper

from support import colour_models
from support.ultralytics_metadata import ULTRALYTICS

FASTSAM = {**ULTRALYTICS, "description": "Ultralytics FastSAM-s model", "names": "{0: 'object'}"}
CLIP_REPOSITORY = "Xenova/clip-vit-base-patch32"
CLIP_COMMIT = "d15189d7028b43f1d3e65039190477f6af591c2a"
FASTSAM_REPOSITORY = "SpatialHub/fastsam-onnx"


def ultralytics_file(**metadata: str) -> bytes:
    """An ONNX file of ultralytics: three classes, one per colour."""
    return _file(colour_models.segmenter_graph(), {**ULTRALYTICS, **metadata})


def fastsam_file() -> bytes:
    """FastSAM: one class, which names nothing."""
    return _file(colour_models.segmenter_graph(one_class=True), FASTSAM)


def clip_files() -> dict[str, bytes]:
    """A repository of CLIP in the layout of transformers.js, with towers apart: embeddings of any length."""
    tokenizer = colour_models.tokenizer()
    settings = {
        "config.json": {
            "model_type": "clip",
            "vision_config": {"image_size": 32},
            "text_config": {"max_position_embeddings": colour_models.TOKENS},
        },
        "preprocessor_config.json": {
            "size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}, "do_center_crop": True,
            "resample": 3, "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
        },
        "tokenizer_config.json": {"pad_token": "[PAD]", "tokenizer_class": "CLIPTokenizer"},
    }  # fmt: skip
    return {
        "onnx/vision_model.onnx": _file(_unnormalised(colour_models.image_tower()), {}),
        "onnx/text_model.onnx": _file(_unnormalised(colour_models.text_tower(tokenizer.get_vocab())), {}),
        "tokenizer.json": tokenizer.to_str().encode(),
        **{name: json.dumps(document).encode() for name, document in settings.items()},
    }


def _unnormalised(tower: onnx.GraphProto) -> onnx.GraphProto:
    """A tower without its last step, which scales embeddings to length one; no embedding is zero."""
    last = tower.node.pop()
    assert last.op_type == "LpNormalization"
    tower.node.append(onnx.helper.make_node("Add", [last.input[0], "little"], [last.output[0]]))
    tower.initializer.append(numpy_helper.from_array(np.array([0, 0, 0, 0.01], np.float32), "little"))
    return tower


def _file(graph: onnx.GraphProto, metadata: dict[str, str]) -> bytes:
    with TemporaryDirectory() as folder:
        return colour_models.save(graph, Path(folder) / "model.onnx", None, metadata).read_bytes()
