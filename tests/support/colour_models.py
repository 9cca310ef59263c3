"""Small exact models for tests: a segmenter that finds coloured shapes, and a CLIP that knows three colours.

They are real graphs of the real families' form, made by hand, so that what they must answer is known exactly.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from fastsam_engine.spec.model_input import ImageInput, TokenInput
from fastsam_engine.spec.model_spec import METADATA_KEY, ModelSpec, Output, Source
from fastsam_engine.spec.yolo_seg import detections_output, letterbox_input, prototypes_output, thresholds

COLOURS = {"red": (0, 0, 255), "green": (0, 255, 0), "blue": (255, 0, 0)}  # BGR
CELL_PX = 32
BOX_PX = 64
SHAPE_PX = 56
TOKENS = 16

# One minus half the others: 1 on the pure colour, 0 on grey, negative on the other colours.
PURITY = np.array([[1, -0.5, -0.5], [-0.5, 1, -0.5], [-0.5, -0.5, 1]], np.float32)


def segmenter_spec(name: str = "colours", *, classes: tuple[str, ...] = tuple(COLOURS)) -> ModelSpec:
    return ModelSpec(
        name=name,
        family="yolo-seg",
        task="segment",
        input=letterbox_input(256, 256, size_multiple=CELL_PX, batch=(1, None)),
        outputs=(detections_output(len(classes)), prototypes_output()),
        class_names=classes,
        defaults={**thresholds(), "conf": 0.5},
        source=Source("handmade"),
    )


def save(graph: onnx.GraphProto, path: Path, spec: ModelSpec | None, metadata: dict[str, str] | None = None) -> Path:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    props = dict(metadata or {})
    if spec is not None:
        props[METADATA_KEY] = spec.to_json()
    helper.set_model_props(model, props)
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))
    return path


def segmenter_graph(*, one_class: bool = False) -> onnx.GraphProto:
    """A YOLO-seg graph: each 32 px cell is an anchor with a 64 px box, scored by how pure its colour is."""
    classes = 1 if one_class else 3
    mix = PURITY.reshape(3, 3, 1, 1)
    spread = np.zeros((32, 3, 1, 1), np.float32)
    spread[:3, :, 0, 0] = np.eye(3)
    constants = {
        "mix": mix,
        "spread": spread,
        "zero": np.float32(0),
        "one": np.float32(1),
        "half": np.float32(0.5),
        "level": np.float32(0.3),
        "cell": np.float32(CELL_PX),
        "box": np.float32(BOX_PX),
        "axis_x": np.int64(3),
        "axis_y": np.int64(2),
        "shape": np.array([0, 4 + classes + 32, -1], np.int64),
        "first": np.array([0], np.int64),
        "second": np.array([1], np.int64),
        "channels": np.array([1], np.int64),
    }
    node = helper.make_node
    score = ["ReduceMax", ["clipped", "channels"], ["scores"]] if one_class else ["Identity", ["clipped"], ["scores"]]
    nodes = [
        node("Conv", ["images", "mix"], ["purity"]),
        node("AveragePool", ["purity"], ["quarter"], kernel_shape=[4, 4], strides=[4, 4]),
        node("Sub", ["quarter", "level"], ["lowered"]),
        node("Conv", ["lowered", "spread"], ["output1"]),
        node("AveragePool", ["purity"], ["cells"], kernel_shape=[CELL_PX] * 2, strides=[CELL_PX] * 2),
        node("Clip", ["cells", "zero", "one"], ["clipped"]),
        node(*score),
        node("Greater", ["clipped", "half"], ["chosen"]),
        node("Cast", ["chosen"], ["picked"], to=TensorProto.FLOAT),
        node("Conv", ["picked", "spread"], ["coefficients"]),
        node("Slice", ["clipped", "first", "second", "channels"], ["any"]),
        node("Mul", ["any", "zero"], ["nothing"]),
        node("Add", ["nothing", "one"], ["ones"]),
        node("Mul", ["ones", "box"], ["sides"]),
    ]
    for axis in "xy":
        nodes += [
            node("CumSum", ["ones", f"axis_{axis}"], [f"count_{axis}"]),
            node("Sub", [f"count_{axis}", "half"], [f"middle_{axis}"]),
            node("Mul", [f"middle_{axis}", "cell"], [f"centre_{axis}"]),
        ]
    nodes += [
        node("Concat", ["centre_x", "centre_y", "sides", "sides", "scores", "coefficients"], ["grid"], axis=1),
        node("Reshape", ["grid", "shape"], ["output0"]),
    ]
    return helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [
            helper.make_tensor_value_info("output0", TensorProto.FLOAT, ["n", 4 + classes + 32, "anchors"]),
            helper.make_tensor_value_info("output1", TensorProto.FLOAT, ["n", 32, "mh", "mw"]),
        ],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )


def clip_specs() -> tuple[ModelSpec, ModelSpec]:
    image = ModelSpec(
        name="clip-colours",
        family="clip",
        task="embed-image",
        input=ImageInput(
            name="pixel_values",
            height=32,
            width=32,
            size_multiple=None,
            resize="shortest-edge",
            interpolation="bicubic",
            antialias=True,
            pad_value=0,
            colour="RGB",
            scale=1 / 255,
            mean=(0.5, 0.5, 0.5),
            std=(0.5, 0.5, 0.5),
        ),
        outputs=(Output("image_embeds", "embedding", "N D"),),
        defaults={"logit_scale": 20.0},
        source=Source("handmade"),
    )
    outputs = (Output("text_embeds", "embedding", "N D"),)
    text = dataclasses.replace(image, task="embed-text", input=TokenInput("input_ids", TOKENS, 0), outputs=outputs)
    return image, text


def image_tower() -> onnx.GraphProto:
    """Mean colour to a direction: red, green, blue, or none of them."""
    node = helper.make_node
    return helper.make_graph(
        [
            node("GlobalAveragePool", ["pixel_values"], ["mean"]),
            node("Flatten", ["mean"], ["flat"]),
            node("MatMul", ["flat", "mix"], ["purity"]),
            node("Relu", ["purity"], ["positive"]),
            node("Pad", ["positive", "pads", "rest"], ["four"]),
            node("LpNormalization", ["four"], ["image_embeds"], axis=1, p=2),
        ],
        "image",
        [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["n", 3, 32, 32])],
        [helper.make_tensor_value_info("image_embeds", TensorProto.FLOAT, ["n", 4])],
        [
            numpy_helper.from_array(PURITY, "mix"),
            numpy_helper.from_array(np.array([0, 0, 0, 1], np.int64), "pads"),
            numpy_helper.from_array(np.float32(0.1), "rest"),
        ],
    )


def text_tower(vocabulary: dict[str, int]) -> onnx.GraphProto:
    """Sum of the words' directions; every word but the colours points at none of them, a little."""
    table = np.zeros((len(vocabulary), 4), np.float32)
    table[3:, 3] = 0.01
    for i, colour in enumerate(COLOURS):
        table[vocabulary[colour], :] = np.eye(4)[i]
    node = helper.make_node
    return helper.make_graph(
        [
            node("Gather", ["table", "input_ids"], ["words"]),
            node("ReduceSum", ["words", "axis"], ["sum"], keepdims=0),
            node("LpNormalization", ["sum"], ["text_embeds"], axis=1, p=2),
        ],
        "text",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["n", TOKENS])],
        [helper.make_tensor_value_info("text_embeds", TensorProto.FLOAT, ["n", 4])],
        [numpy_helper.from_array(table, "table"), numpy_helper.from_array(np.array([1], np.int64), "axis")],
    )


def tokenizer() -> Tokenizer:
    words = ["[PAD]", "[BOS]", "[EOS]", "[UNK]", *COLOURS, "a", "photo", "of", "the", "background", "object", "shape"]
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="[BOS] $A [EOS]", special_tokens=[("[BOS]", 1), ("[EOS]", 2)]
    )
    return made


def save_all(models_folder: Path) -> None:
    """Fill a model store: `colours`, `things` (one class, as FastSAM) and `clip-colours`."""
    save(segmenter_graph(), models_folder / "colours" / "colours.onnx", segmenter_spec())
    things = segmenter_spec("things", classes=("object",))
    save(segmenter_graph(one_class=True), models_folder / "things" / "things.onnx", things)
    image, text = clip_specs()
    folder = models_folder / "clip-colours"
    words = tokenizer()
    save(image_tower(), folder / "clip-colours.image.onnx", image)
    save(text_tower(words.get_vocab()), folder / "clip-colours.text.onnx", text)
    words.save(str(folder / "tokenizer.json"))


def scene(*shapes: tuple[str, int, int], height: int = 256, width: int = 256) -> np.ndarray:
    """Grey frame (H, W, 3) uint8 BGR with 56 px squares of a colour, centred on cells (row, column)."""
    frame = np.full((height, width, 3), 128, np.uint8)
    for colour, row, column in shapes:
        y, x = row * CELL_PX + CELL_PX // 2, column * CELL_PX + CELL_PX // 2
        half = SHAPE_PX // 2
        frame[max(y - half, 0) : y + half, max(x - half, 0) : x + half] = COLOURS[colour]
    return frame


def shape_mask(row: int, column: int, height: int = 256, width: int = 256) -> np.ndarray:
    """The exact mask (H, W) bool of a shape that `scene` draws."""
    return scene(("red", row, column), height=height, width=width)[..., 1] == 0
