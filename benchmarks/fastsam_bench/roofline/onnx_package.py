"""The `onnx` package, which the extra `[bench]` brings: graphs are read with it and small ones made, none is run."""

from __future__ import annotations

from typing import Any

from fastsam_engine.errors import PackagesMissingError


def load_onnx() -> Any:
    """The module `onnx`.

    Raises:
        PackagesMissingError: It is not installed.
    """
    try:
        import onnx
        import onnx.shape_inference
    except ModuleNotFoundError as error:
        raise PackagesMissingError([error.name or "onnx"], "bench") from error
    return onnx
