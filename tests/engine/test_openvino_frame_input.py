"""Frames taken by OpenVINO: the same colours as by a float32 input, whatever else the graph reads of the image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from fastsam_engine import open_session
from fastsam_engine.spec.model_input import ImageInput
from fastsam_engine.spec.model_spec import ModelSpec, Output
from support import colour_models
from support.typed import image_input

pytest.importorskip("openvino")

_BETWEEN: dict[str, Any] = {
    "nothing": ("Identity", {}),
    "a sign change": ("Neg", {}),
    "a limit": ("Relu", {}),
    "a transposition": ("Transpose", {"perm": [0, 1, 3, 2]}),
}


def _graph(between: str, *, shape_of: str) -> Any:
    """A convolution that copies the channels, and a batch of ones from the shape of a tensor."""
    operator, attributes = _BETWEEN[between]
    node = helper.make_node
    constants = {
        "weights": np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1), "first": np.array([0], np.int64),
        "rest": np.array([1, 1, 1], np.int64),
    }  # fmt: skip
    return helper.make_graph(
        [
            node(operator, ["pixels"], ["changed"], **attributes),
            node("Conv", ["changed", "weights"], ["copied"]),
            node("Shape", [shape_of], ["lengths"]),
            node("Gather", ["lengths", "first"], ["count"]),
            node("Concat", ["count", "rest"], ["batch"], axis=0),
            node("ConstantOfShape", ["batch"], ["ones"], value=helper.make_tensor("one", TensorProto.FLOAT, [1], [1])),
            node("Mul", ["copied", "ones"], ["colours"]),
        ],
        "frames",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 3, 8, 8])],
        [helper.make_tensor_value_info("colours", TensorProto.FLOAT, ["n", 3, 8, 8])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )


@pytest.mark.parametrize("colour", ["RGB", "BGR"])
@pytest.mark.parametrize("between", _BETWEEN)
@pytest.mark.parametrize("shape_of", ["pixels", "changed", "copied"])
def test_colours_are_those_of_a_float_input(tmp_path: Path, between: str, shape_of: str, colour: Any) -> None:
    image = ImageInput(
        "pixels", 8, 8, None, "stretch", "bilinear", True, 0, colour, 1.0, (1.0, 2.0, 3.0), (1.0, 1.0, 1.0)
    )
    defaults = {"conf": 0.0, "iou": 1.0, "max_segments": 1}
    spec = ModelSpec("frames", "made", "segment", image, (Output("colours", "made", "N 3 8 8"),), defaults=defaults)
    path = colour_models.save(_graph(between, shape_of=shape_of), tmp_path / "frames.onnx", spec)
    frame = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3), np.uint8)
    ordered = frame[..., ::-1] if colour == "RGB" else frame
    plain = (ordered.astype(np.float32) - np.array(image.mean, np.float32)).transpose(0, 3, 1, 2)
    expected = open_session(path, "onnxruntime").run({"pixels": np.ascontiguousarray(plain)})["colours"]
    session = open_session(path, "openvino", precision="fp32", frames=True)
    assert image_input(session.spec).dtype == "uint8"
    np.testing.assert_allclose(session.run({"pixels": frame})["colours"], expected, atol=1e-3)
