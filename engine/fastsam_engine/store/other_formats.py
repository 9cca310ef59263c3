"""Recognise model files and folders of other tools by their suffix, and name the command that exports them."""

from __future__ import annotations

from pathlib import Path

from fastsam_engine.errors import ModelFileError
from fastsam_engine.store.catalog import CATALOG

_CHECKPOINTS = {".pt": "a PyTorch checkpoint", ".pth": "a PyTorch checkpoint", ".ckpt": "a PyTorch checkpoint"}
_FOLDERS_OF_WEIGHTS = {
    ".safetensors": "a file of transformers' weights",
    ".bin": "a file of weights",
    ".h5": "a file of weights",
}
_COMPILED = {
    ".torchscript": "a TorchScript model",
    ".tflite": "a TFLite model",
    ".pb": "a TensorFlow model",
    ".keras": "a Keras model",
    ".mlpackage": "a Core ML model",
    ".mlmodel": "a Core ML model",
    ".xml": "a model in OpenVINO's format",
    ".pdmodel": "a Paddle model",
    ".param": "an NCNN model",
    ".mnn": "an MNN model",
    ".rknn": "an RKNN model",
    ".imx": "an IMX500 model",
    ".ort": "a model in ONNX Runtime's format",
    ".pte": "an ExecuTorch model",
}


def refuse_other_formats(path: Path) -> None:
    """Refuse a path that has the suffix of another tool's model.

    Args:
        path: A file or folder.

    Raises:
        ModelFileError: It has one; the message names the command that exports it.
    """
    suffix = path.suffix.lower()
    if suffix in _CHECKPOINTS:
        name = path.stem.lower() if path.stem.lower() in CATALOG else "NAME"
        raise _refused(path, _CHECKPOINTS[suffix], f"export it with: fastsam-trt export {name} --weights {path}")
    if suffix in _FOLDERS_OF_WEIGHTS:
        fix = f"export its folder with: fastsam-trt export NAME --weights {path.parent}"
        raise _refused(path, _FOLDERS_OF_WEIGHTS[suffix], fix)
    if suffix in _COMPILED:
        fix = "export the checkpoint that it was made from: fastsam-trt export NAME --weights WEIGHTS.pt"
        raise _refused(path, _COMPILED[suffix], fix)
    if path.is_dir() and not any(each.suffix in (".onnx", ".plan", ".engine") for each in path.iterdir()):
        for each in sorted(path.iterdir()):
            if each.suffix.lower() in {*_CHECKPOINTS, *_FOLDERS_OF_WEIGHTS, *_COMPILED}:
                weights = path if each.suffix.lower() in _FOLDERS_OF_WEIGHTS else each
                if each.suffix.lower() in _COMPILED:
                    refuse_other_formats(each)
                raise _refused(
                    path, f"only {each.name}", f"export it with: fastsam-trt export NAME --weights {weights}"
                )


def _refused(path: Path, found: str, fix: str) -> ModelFileError:
    return ModelFileError(path, f"expected an ONNX file or a plan, found {found}", fix)
