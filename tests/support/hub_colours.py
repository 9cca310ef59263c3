"""Exact models of three colours in the layouts of public hubs, made by hand, without PyTorch.

Their right answers are known: see `colour_models`, whose graphs these are in the form that hubs have them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from support import colour_models
from support.colour_models import COLOURS, TOKENS
from support.ultralytics_metadata import ULTRALYTICS

SIDE = 32  # of CLIP's pictures, px
SCALE, BIAS = 20.0, -12.0  # of logits
MASK_PX = 64  # side of DETR's mask
LENGTHEN = 3.0  # embeddings of towers apart are this long
LEVEL = 0.3  # purity from which a pixel has a colour
_HALF = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
_PLAIN = {"do_resize": True, "do_rescale": True, "do_normalize": True, "rescale_factor": 1 / 255, "resample": 3}


def save_clip(folder: Path, *, whole: bool = True, opset: int = 14) -> None:
    """CLIP: `onnx/model.onnx`, or the towers apart."""
    _save_towers(folder, "clip", whole=whole, bias=None, opset=opset)
    crop = {"do_center_crop": True, "crop_size": {"height": SIDE, "width": SIDE}}
    write_json(folder, "preprocessor_config.json", {**_PLAIN, **_HALF, **crop, "size": {"shortest_edge": SIDE}})


def save_siglip(folder: Path, *, whole: bool = True, opset: int = 14) -> None:
    """SigLIP: the same with a bias, and pictures that are stretched."""
    _save_towers(folder, "siglip", whole=whole, bias=BIAS, opset=opset)
    write_json(folder, "preprocessor_config.json", {**_PLAIN, **_HALF, "size": {"height": SIDE, "width": SIDE}})


def save_segformer(folder: Path, size: tuple[int, int] = (96, 128)) -> None:
    """SegFormer of three colours and grey: logits are the purity of each, and a constant."""
    height, width = size
    graph = _graph(
        [*_purity_nodes("quarter"), *_with_grey("quarter", "logits")],
        [("pixel_values", TensorProto.FLOAT, ["batch_size", "num_channels", "height", "width"])],
        [("logits", TensorProto.FLOAT, ["batch_size", "num_labels", "h", "w"])],
        {**_mix(), **_grey(LEVEL)},
    )
    _save(graph, folder / "onnx" / "model.onnx", 12)
    labels = {str(i): name for i, name in enumerate((*COLOURS, "grey"))}
    config = {"model_type": "segformer", "architectures": ["SegformerForSemanticSegmentation"], "id2label": labels}
    write_json(folder, "config.json", config)
    stated = {**_PLAIN, **_HALF, "resample": 2, "do_reduce_labels": False, "size": {"height": height, "width": width}}
    write_json(folder, "preprocessor_config.json", stated)


def save_detr(folder: Path, size: tuple[int, int] = (96, 128), *, masks: bool = True) -> None:
    """DETR panoptic of three queries, one per colour, and one without an object; masks are empty where a mask is 0.

    Without `masks` it detects boxes only, as DETR for detection does.
    """
    height, width = size
    classes = np.full((1, 4, 4), -4, np.float32)
    classes[0, range(4), range(4)] = 4
    boxes = np.full((1, 4, 4), 0.5, np.float32)
    node = helper.make_node
    nodes = [
        *_purity_nodes("quarter"),
        *_with_grey("quarter", "planes"),
        node("Cast", ["pixel_mask"], ["seen"], to=TensorProto.FLOAT),
        node("ReduceMin", ["seen"], ["all_seen"], axes=[1, 2], keepdims=1),
        node("Unsqueeze", ["all_seen", "last"], ["factor"]),
        node("Sub", ["planes", "level"], ["lowered"]),
        node("Mul", ["lowered", "steep"], ["steeper"]),
        node("Mul", ["steeper", "factor"], ["pred_masks"]),
        node("Squeeze", ["factor", "last"], ["ones"]),
        node("Mul", ["classes", "ones"], ["logits"]),
        node("Mul", ["boxes", "ones"], ["pred_boxes"]),
    ]
    outputs: list[Any] = [("logits", TensorProto.FLOAT, ["batch_size", "num_queries", 4]),
                          ("pred_boxes", TensorProto.FLOAT, ["batch_size", "num_queries", 4])]  # fmt: skip
    if masks:
        outputs.append(("pred_masks", TensorProto.FLOAT, ["batch_size", "num_queries", "h", "w"]))
    graph = _graph(
        nodes,
        [
            ("pixel_values", TensorProto.FLOAT, ["batch_size", "num_channels", "height", "width"]),
            ("pixel_mask", TensorProto.INT64, ["batch_size", MASK_PX, MASK_PX]),
        ],
        outputs,
        {
            **_mix(), **_grey(-1.0), "classes": classes, "boxes": boxes, "last": np.array([3], np.int64),
            "level": np.float32(LEVEL), "steep": np.float32(40),
        },
    )  # fmt: skip
    _save(graph, folder / "onnx" / "model.onnx", 13)
    labels = {str(i): name for i, name in enumerate(COLOURS)}
    kind = "DetrForSegmentation" if masks else "DetrForObjectDetection"
    write_json(folder, "config.json", {"model_type": "detr", "architectures": [kind], "id2label": labels})
    stated = {**_PLAIN, **_HALF, "resample": 2, "do_pad": True,
              "size": {"shortest_edge": height, "longest_edge": width}}  # fmt: skip
    write_json(folder, "preprocessor_config.json", stated)


def save_ultralytics(path: Path, **metadata: str) -> None:
    """The segmenter of `colour_models` with ultralytics' metadata."""
    colour_models.save(colour_models.segmenter_graph(), path, None, {**ULTRALYTICS, **metadata})


def write_json(folder: Path, name: str, values: Any) -> None:
    """Write a settings file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(values), encoding="utf-8")


def change_json(folder: Path, name: str, **changes: Any) -> None:
    """Change values of a settings file; None removes one."""
    values = {**json.loads((folder / name).read_text()), **changes}
    write_json(folder, name, {key: value for key, value in values.items() if value is not None})


def _save_towers(folder: Path, family: str, *, whole: bool, bias: float | None, opset: int) -> None:
    words = colour_models.tokenizer()
    folder.mkdir(parents=True, exist_ok=True)
    words.save(str(folder / "tokenizer.json"))
    write_json(folder, "tokenizer_config.json", {"pad_token": "[PAD]", "model_max_length": TOKENS})
    config = {
        "model_type": family, "architectures": [f"{family.upper()}Model"],
        "text_config": {"max_position_embeddings": TOKENS}, "vision_config": {"image_size": SIDE},
    }  # fmt: skip
    write_json(folder, "config.json", config)
    image, text = colour_models.image_tower(), _known_text(words.get_vocab())
    text_nodes = _masked(list(text.node))
    if not whole:
        image_name, text_name = ("image_embeds", "text_embeds") if family == "clip" else ("pooler_output",) * 2
        _save(_tower(list(image.node), image_name, image, "pixel_values"), folder / "onnx" / "vision_model.onnx", opset)
        _save(_tower(text_nodes, text_name, text, "input_ids"), folder / "onnx" / "text_model.onnx", opset)
        return
    node = helper.make_node
    constants = {"scale": np.float32(SCALE), **({} if bias is None else {"bias": np.float32(bias)})}
    similar = [
        node("Transpose", ["image_embeds"], ["turned"], perm=[1, 0]),
        node("MatMul", ["text_embeds", "turned"], ["cosines"]),
        node("Mul", ["cosines", "scale"], ["scaled"]),
        node("Identity", ["scaled"], ["logits_per_text"]) if bias is None
        else node("Add", ["scaled", "bias"], ["logits_per_text"]),
        node("Transpose", ["logits_per_text"], ["logits_per_image"], perm=[1, 0]),
    ]  # fmt: skip
    graph = helper.make_graph(
        [*text_nodes, *image.node, *similar],
        family,
        [_port(*each) for each in (*_TEXT_INPUTS, _IMAGE_INPUT)],
        [
            _port("logits_per_image", TensorProto.FLOAT, ["image_batch_size", "text_batch_size"]),
            _port("logits_per_text", TensorProto.FLOAT, ["text_batch_size", "image_batch_size"]),
            _port("text_embeds", TensorProto.FLOAT, ["text_batch_size", 4]),
            _port("image_embeds", TensorProto.FLOAT, ["image_batch_size", 4]),
        ],
        [*image.initializer, *text.initializer, *_arrays(constants)],
    )
    _save(graph, folder / "onnx" / "model.onnx", opset)


_IMAGE_INPUT = ("pixel_values", TensorProto.FLOAT, ["image_batch_size", "num_channels", "height", "width"])
_TEXT_INPUTS = (
    ("input_ids", TensorProto.INT64, ["text_batch_size", "sequence_length"]),
    ("attention_mask", TensorProto.INT64, ["text_batch_size", "sequence_length"]),
)


def _masked(nodes: list[Any]) -> list[Any]:
    """The text tower with words that count only where the attention mask is one."""
    node = helper.make_node
    gather, total, norm = nodes
    return [
        gather,
        node("Cast", ["attention_mask"], ["counts"], to=TensorProto.FLOAT),
        node("Unsqueeze", ["counts", "minus_one"], ["column"]),
        node("Mul", ["words", "column"], ["counted"]),
        node("ReduceSum", ["counted", *total.input[1:]], ["sum"], keepdims=0),
        norm,
    ]


def _tower(nodes: list[Any], output: str, tower: onnx.GraphProto, name: str) -> onnx.GraphProto:
    """A tower apart: its embeddings have another length than one."""
    *rest, norm = nodes
    last = [
        helper.make_node("LpNormalization", list(norm.input), ["unit"], axis=1, p=2),
        helper.make_node("Mul", ["unit", "longer"], [output]),
    ]
    inputs = [_port(*each) for each in ((_IMAGE_INPUT,) if name == "pixel_values" else _TEXT_INPUTS)]
    outputs = [_port(output, TensorProto.FLOAT, ["batch_size", 4])]
    kept = [*tower.initializer, *_arrays({"longer": np.float32(LENGTHEN)})]
    return helper.make_graph([*rest, *last], "tower", inputs, outputs, kept)


def _known_text(vocabulary: dict[str, int]) -> onnx.GraphProto:
    """The text tower; a text without words points at none of the colours, instead of nowhere."""
    text = colour_models.text_tower(vocabulary)
    table = next(each for each in text.initializer if each.name == "table")
    rows = numpy_helper.to_array(table).copy()
    rows[vocabulary["[BOS]"], 3] = 0.01
    table.CopyFrom(numpy_helper.from_array(rows, "table"))
    return text


def _purity_nodes(output: str) -> list[Any]:
    node = helper.make_node
    return [
        node("Conv", ["pixel_values", "mix"], ["purity"]),
        node("AveragePool", ["purity"], [output], kernel_shape=[4, 4], strides=[4, 4]),
    ]


def _with_grey(planes: str, output: str) -> list[Any]:
    """Add a plane of a constant to three planes."""
    return [
        helper.make_node("Conv", [planes, "spread", "offset"], [output]),
    ]


def _mix() -> dict[str, Any]:
    return {"mix": colour_models.PURITY.reshape(3, 3, 1, 1)}


def _grey(level: float) -> dict[str, Any]:
    spread = np.zeros((4, 3, 1, 1), np.float32)
    spread[:3, :, 0, 0] = np.eye(3)
    return {"spread": spread, "offset": np.array([0, 0, 0, level], np.float32)}


def _graph(nodes: list[Any], inputs: list[Any], outputs: list[Any], constants: dict[str, Any]) -> onnx.GraphProto:
    return helper.make_graph(
        nodes, "graph", [_port(*each) for each in inputs], [_port(*each) for each in outputs], _arrays(constants)
    )


def _port(name: str, element: int, axes: list[Any]) -> Any:
    return helper.make_tensor_value_info(name, element, axes)


def _arrays(constants: dict[str, Any]) -> list[Any]:
    return [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]


def _save(graph: onnx.GraphProto, path: Path, opset: int) -> None:
    names = {each.name for each in graph.initializer}
    if "minus_one" in {name for node in graph.node for name in node.input} - names:
        graph.initializer.append(numpy_helper.from_array(np.array([-1], np.int64), "minus_one"))
    path.parent.mkdir(parents=True, exist_ok=True)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
