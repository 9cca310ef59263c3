"""Make graphs of OpenVINO take frames as cameras deliver them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from fastsam_engine.spec.model_input import ImageInput

if TYPE_CHECKING:
    import openvino


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
    if image.colour == "RGB":
        steps.convert_color(ColorFormat.RGB)
    steps.convert_element_type(openvino.Type(np.dtype(image.dtype)))
    if any(image.mean):
        steps.mean([mean / image.scale for mean in image.mean])
    steps.scale([std / image.scale for std in image.std])
    taken = dataclasses.replace(
        image, layout="NHWC", dtype="uint8", colour="BGR", scale=1.0, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)
    )
    return prepared.build(), taken
