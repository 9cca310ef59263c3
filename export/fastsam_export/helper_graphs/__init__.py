"""Export helper graphs, which preprocess, crop and decode on the device that runs the model.

With them a frame is uploaded once, and only the selected masks are downloaded:

- `M.preprocess.onnx`: frame to the segmenter's input;
- `M.crops.onnx`: windows of a frame to CLIP's input;
- `M.decode.onnx`: prototypes to the chosen masks.

The docstring of each module describes the inputs and outputs of its graph. Helper graphs run on any backend, as models
do. They compute coordinates, which need more digits than half precision has, so they stay in fp32 whatever the model's
precision. Open them with `open_session(..., precision="fp32")`, since a backend may choose bf16 by default.
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
    """Export and prove the helper graphs for one graph of a model.

    Args:
        model: Spec of a segmenter's first graph, or of CLIP's image tower.
        folder: Folder for the files.
        step: Called with a short description when a step begins.

    Raises:
        ParityError: A graph computes something else than OpenCV or PyTorch.
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
