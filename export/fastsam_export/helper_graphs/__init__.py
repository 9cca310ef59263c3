"""Helper graphs: what is done around a model's graphs, as graphs of their own, built for any backend as models are.

With them one upload of the frame serves a GPU, and only what was selected comes back:
`M.preprocess.onnx` makes the segmenter's input of the frame, `M.crops.onnx` CLIP's input of its windows, and
`M.decode.onnx` the chosen masks of the prototypes. Each file's docstring says what its graph takes and gives.

Their numbers hold places in the frame, which half precision can't: they stay in fp32 whatever the model's precision,
and a backend that would compute in bf16 by itself has to be told so (`open_session(..., precision="fp32")`).
"""

from collections.abc import Callable
from pathlib import Path

from fastsam_engine.spec.model_input import ImageInput
from fastsam_engine.spec.model_spec import ModelSpec
from fastsam_export.family import Exported
from fastsam_export.helper_graphs import crops, decode, preprocess

__all__ = ["export_helpers"]

_PREPROCESSED = {("letterbox", "bilinear", False), ("stretch", "bilinear", True), ("stretch", "bicubic", True)}


def export_helpers(model: ModelSpec, folder: Path, step: Callable[[str], None]) -> list[Exported]:
    """Make and prove the helper graphs that serve one graph of a model, as its spec tells.

    Args:
        model: Spec of a segmenter's first graph, or of CLIP's image tower.
        folder: Where the files go.
        step: Told, in a few words, what begins.

    Raises:
        ParityError: A graph computes something else than OpenCV or torch do.
    """
    image = model.input
    if not isinstance(image, ImageInput):
        return []
    if model.task == "embed-image":
        step("making the crops graph")
        return [crops.export(model, image, folder)]
    made = []
    if (image.resize, image.interpolation, image.antialias) in _PREPROCESSED:
        step("making the preprocess graph")
        made.append(preprocess.export(model, image, folder))
    for output in model.outputs:
        if output.meaning == "mask-prototypes":
            step("making the decode graph")
            made.append(decode.export(model, image, output, folder))
    return made
