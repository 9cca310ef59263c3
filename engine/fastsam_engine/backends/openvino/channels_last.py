"""Have graphs of OpenVINO compute mask prototypes with the channels last, as its convolutions do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastsam_engine.spec.model_input import ImageInput
from fastsam_engine.spec.model_spec import ModelSpec

if TYPE_CHECKING:
    import openvino

_MEANING = "mask-prototypes"


def with_channels_last(model: openvino.Model, spec: ModelSpec) -> tuple[openvino.Model, frozenset[str]]:
    """Have a graph write mask prototypes as (n, h, w, c), which saves it a transposition of the largest output.

    Args:
        model: The graph.
        spec: Its spec.

    Returns:
        The graph, and the names of the outputs that changed: those of the layout `N c H W` of graphs that take images.
        Other graphs are compiled for any size, where this takes longer instead.
    """
    import openvino
    from openvino.preprocess import PrePostProcessor

    names = frozenset(
        output.name
        for output in spec.outputs
        if output.meaning == _MEANING and isinstance(spec.input, ImageInput) and _has_channels_first(output.layout)
    )
    if not names:
        return model, names
    prepared = PrePostProcessor(model)
    for name in names:
        port = prepared.output(name)
        port.model().set_layout(openvino.Layout("NCHW"))
        port.tensor().set_layout(openvino.Layout("NHWC"))
    return prepared.build(), names


def _has_channels_first(layout: str) -> bool:
    axes = layout.split()
    return len(axes) == 4 and axes[1].isdigit() and not axes[3].isdigit()
