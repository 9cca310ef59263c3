"""Make graphs of OpenVINO take frames as cameras deliver them.

OpenVINO (still in 2026.4) folds a reversal of the channels into the first convolution. If the graph also reads the
shape of the image, as exports with a dynamic batch do, it removes the reversal without folding it in, and the colours
are swapped. It does not recognise a slice as a reversal, so such graphs get one.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from fastsam_engine.spec.model_input import ImageInput

if TYPE_CHECKING:
    import openvino


_COMPUTE = ("Convolution", "GroupConvolution", "MatMul")  # whose outputs have no colours


def with_frame_input(model: openvino.Model, image: ImageInput) -> tuple[openvino.Model, ImageInput]:
    """Put the normalisation of images into the graph, which saves passes over memory."""
    import openvino
    from openvino.preprocess import ColorFormat, PrePostProcessor

    prepared = PrePostProcessor(model)
    port = prepared.input(image.name)
    port.tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    port.tensor().set_color_format(ColorFormat.BGR)
    port.model().set_layout(openvino.Layout(image.layout))
    steps = port.preprocess()
    if image.colour == "RGB" and _reads_shape(model, image.name):
        steps.custom(_reversed_channels)
    elif image.colour == "RGB":
        steps.convert_color(ColorFormat.RGB)
    steps.convert_element_type(openvino.Type(np.dtype(image.dtype)))
    if any(image.mean):
        steps.mean([mean / image.scale for mean in image.mean])
    steps.scale([std / image.scale for std in image.std])
    taken = dataclasses.replace(
        image, layout="NHWC", dtype="uint8", colour="BGR", scale=1.0, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)
    )
    return prepared.build(), taken


def _reads_shape(model: openvino.Model, name: str) -> bool:
    """Whether a graph reads the shape of an image before it computes anything from it."""
    open_, seen = [model.input(name).get_node()], set[str]()
    while open_:
        for output in open_.pop().outputs():
            for reader in (target.get_node() for target in output.get_target_inputs()):
                kind, label = reader.get_type_name(), reader.get_name()
                if kind == "ShapeOf":
                    return True
                if kind not in _COMPUTE and label not in seen:
                    seen.add(label)
                    open_.append(reader)
    return False


def _reversed_channels(frames: openvino.Output) -> openvino.Output:
    """Frames (n, h, w, 3) with their channels in reverse."""
    from openvino import opset13

    start, stop, step, axis = (np.array([value]) for value in (-1, -4, -1, 3))
    return opset13.slice(frames, start, stop, step, axis).output(0)
